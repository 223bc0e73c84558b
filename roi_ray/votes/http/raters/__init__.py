"""What raters ask for: invitations, sessions, questions and votes."""
