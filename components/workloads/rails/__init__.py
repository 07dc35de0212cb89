"""What every workload rides on: parameters, the ledger, the gate and the Bento of whatever it is."""
