"""Blemish finds defects in pictures of products, behind the API of Amazon Lookout for Vision."""
