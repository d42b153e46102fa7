"""The openers of loadable modules, a file for each kind of module; ``vmdump.module`` says what an opener is."""
