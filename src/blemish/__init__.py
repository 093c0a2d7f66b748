"""Blemish finds defects in images of products, behind the API of Amazon Lookout for Vision."""
