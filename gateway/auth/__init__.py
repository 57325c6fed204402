"""Who may do what: users and their passwords, tokens that die at once, roles and their scope, throttles."""
