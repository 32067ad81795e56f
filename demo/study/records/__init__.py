"""What a study keeps: the database, its copies, its checks and its export."""
