"""What others build beside the service. Nothing here imports it: an example knows what is documented, and nothing else."""
