"""`blemish demo`: a sample product, learned and judged through the API like a user's own."""
