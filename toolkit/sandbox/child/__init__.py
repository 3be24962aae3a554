"""What runs on the other side: the program of the sandbox's own processes.

A *zygote* imports the allowed libraries and confines itself once; every session is a fork of it. Its *keeper*, the
process that the host talks to, has sessions made, lets them fork, ends and buries them. Invariant: these
modules import the standard library and each other only, never the toolkit, because they are started as a
package of their own by an interpreter that sees nothing else.
"""
