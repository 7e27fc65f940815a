// Writes the manual pages and the shell completions from the tables that the program itself uses.
