"""A page on this machine in which a network trains live: `python -m BACKEND playground`.

Written once for every backend, and imports no engine. The libraries of the extra `playground` are
imported by the submodules that need them, never by `import pure_python`.

    command              the server's life, from the command to its end
    server, session      who may connect, and what one open page has running
    messages, settings   what a page may say, and what can be set
    points               the samples: generated, from a CSV file, or the user's own
    trainer, training    the process that trains, and the network in it
    script               the run as a program of its own
    static               the page
"""
