"""Packages of models for the edge: made, watched, downloaded."""
