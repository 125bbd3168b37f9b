"""From the addresses of bare machines to a cluster that runs Sluice: Talos Linux in one command."""
