"""From samples to messages: sources, the receiver, the protocols, and the task that runs the receiver."""
