"""
What projects have around their accounts: an own kind of session, mail in a table, session keys of their own.

Each of these hands something that opens an account or a session to the database.
"""
