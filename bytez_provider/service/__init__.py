"""What talks to the Bytez service: settings, wire, client, catalogue, prices."""
