"""vmdump query."""
HELP = "ask"
EPILOG = ""
def add_arguments(parser):
    pass
def run(args, environment):
    return 0
