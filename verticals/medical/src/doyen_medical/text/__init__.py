"""What a clinical note says: HPO concepts, their context, and the personal data to take out first."""
