"""The main job: data in, a trained network, figures and a weights file out.

Written once for every backend, and imports no engine: what trains is the module whose name the
command line is given. The libraries of the extra `training` are imported by the submodules that
need them, never by `import pure_python`.

    cli, commands          the command line, and what its commands do
    datasets, csv_files    where samples come from
    trainer, objective     how a network learns, and what
    stopping, checkpoint   when it has learnt enough, and how it is kept
    estimators             networks for scikit-learn
    figures, terminal      what a person sees
    interruption, limits   what ends a run early: Ctrl-C, memory
    configuration          what a run is made of, as a file from which it is run again
    run                    one run from what was asked for to what is written
    earlier                runs that were made before
    demo, demonstration    the main job with every backend from one seed
"""
