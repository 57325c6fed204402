"""Who may do what: users and their passwords, tokens that die at once, roles and their scope, throttles."""

from gateway.auth.accounts import Accounts
from gateway.auth.bearer import authenticate_bearer, bearer_principal
from gateway.auth.passwords import Hasher
from gateway.auth.principal import Principal

__all__ = ["Accounts", "Hasher", "Principal", "authenticate_bearer", "bearer_principal"]
