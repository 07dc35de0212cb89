"""The HTTP service that a Bento ships, and the child process that runs one."""
