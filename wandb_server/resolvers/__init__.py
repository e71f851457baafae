"""How each field of the GraphQL schema is answered."""
