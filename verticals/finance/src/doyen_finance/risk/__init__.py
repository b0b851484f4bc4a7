"""Fraud on card transactions, money laundering on transfers, default of credit clients: scores with reasons."""
