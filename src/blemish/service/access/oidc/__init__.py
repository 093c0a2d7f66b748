"""Signing in by an identity provider, by OpenID Connect.

Source: OpenID Connect Core 1.0, the authorization code flow; RFC 7636 (PKCE); RFC 9700 (security).
"""
