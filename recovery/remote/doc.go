// Package remote carries a command line out on another host, over one connection
// of the system's own ssh. It knows ssh, this program and the two ends of a
// conversation, and nothing of runs.
//
// Dial goes its way in this order: ssh starts a shell with a fixed command; the
// shell reads a fixed script from its input, in which only a digest, a size and
// the names of a system are different from one time to the next; the script says
// what the host is, asks for the program if its cache does not hold it, proves
// its digest, and becomes it. From then on both ends speak in frames, and what
// one says to the other, a command line, a runbook, secrets, passes through the
// connection alone: it stands in no command line of ssh or of a shell, in no
// variable that sshd sees, and in no file.
//
// The program is kept on the host under its digest, ~/.cache/comeback/DIGEST,
// mode 0700. It gets its name there only when it is whole, and its digest is
// proven before each use. A connection that is cut leaves no half program.
//
// The command line runs on the host in a process of its own, at a pseudo terminal
// where this end has a terminal, else at pipes. When the connection goes away it
// is hung up, as by the end of a terminal. ssh's agent and X11 are never
// forwarded. Every byte that it has written comes, however slowly it is read.
//
// Neither end fills the other's memory: what is typed goes at most a window ahead of
// the command, and an answer is at most as long as was agreed.
package remote
