"""How fast the backends are, against peers and against their targets: `nox -s bench`.

contest   things that compute the same, each in its own process, checked and then timed in turn
worker    what runs in such a process
plan      which contests there are, at which sizes; targets: what they should show
chain, moons, networks, gpt, resources   the workloads
slots, peers   a reference Value, and other libraries' networks
report    the table, the plot and the raw figures
"""
