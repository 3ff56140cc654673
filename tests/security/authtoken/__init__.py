"""The model of Django REST framework's ``rest_framework.authtoken``, column by column."""
