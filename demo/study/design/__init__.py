"""What a study is, as data: configuration, words, who sees what and when, and how many participants it needs."""
