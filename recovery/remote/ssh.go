package remote

import (
	"os/exec"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/said"
)

// SSH is how ssh is asked.
type SSH struct {
	// Program is ssh and words before its own: "ssh", "-F", "/etc/ssh/other".
	Program []string
	// Env is its environment.
	Env []string
	// Asks says that a person is at the terminal, for a passphrase, a code or the
	// key of a host that ssh does not know.
	Asks bool
}

// Program reads the words of a setting such as "ssh -F FILE", which are divided by
// spaces and seen by no shell. Nothing is "ssh".
func Program(setting string) []string {
	if words := strings.Fields(setting); len(words) > 0 {
		return words
	}
	return []string{"ssh"}
}

// unforwarded are the options that go before those of the person's configuration:
// nothing is forwarded, no other command or terminal comes in between, and a
// connection that is dead is noticed within a minute. An ssh before OpenSSH 8.7 knows
// two of them by its flags alone, which nobody gives.
var unforwarded = []string{
	"-T", "-a", "-x", "-o", "IgnoreUnknown=ForkAfterAuthentication,StdinNull",
	"-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no",
	"-o", "ControlMaster=no", "-o", "ForkAfterAuthentication=no", "-o", "StdinNull=no",
	"-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
}

// command is ssh to a host whose shell reads its input. An interrupt of the
// terminal is this program's to carry out, and must not cut the connection: ssh is
// started by a shell that ignores it, which ssh respects.
func (s SSH) command(h Host) *exec.Cmd {
	words := append(slices.Clone(s.Program), unforwarded...)
	if !s.Asks {
		words = append(words, "-o", "BatchMode=yes")
	}
	words = append(words, "--", string(h), "sh")
	cmd := exec.Command("/bin/sh", append([]string{"-c", `trap '' INT; exec "$@"`, "sh"}, words...)...)
	cmd.Env = s.Env
	return cmd
}

// explain makes one sentence of how ssh ended before the host had said anything.
func explain(h Host, words string) error {
	name := h.Name()
	wrong := func(exit recovery.Exit, hint, format string, args ...any) error {
		return recovery.Errorf(hint, format, args...).WithExit(exit)
	}
	last := said.LastLine(words)
	has := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(words, t) })
	}
	switch {
	case has("REMOTE HOST IDENTIFICATION HAS CHANGED"):
		return wrong(recovery.Refused, "ask who looks after the host before anything else: somebody may be in between",
			"refused: %s shows another host key than the one that ssh knows", name)
	case has("Host key verification failed"):
		return wrong(recovery.Usage, "compare its key with what who looks after it says, and accept it once: ssh "+string(h), "ssh does not know the host key of %s", name)
	case has("Permission denied"):
		return wrong(recovery.Usage, "try it: ssh "+string(h)+"; add your key to the agent with ssh-add", "%s does not let you in: %s", name, last)
	case has("Could not resolve hostname"):
		return wrong(recovery.Usage, "write it as ssh knows it, or give it a name in ~/.ssh/config", "no host is named %s: %s", name, last)
	case has("Connection refused", "timed out", "No route to host", "Network is unreachable", "Connection reset", "closed by remote host", "Connection closed by", "Broken pipe", "banner exchange:"):
		return wrong(recovery.Failed, "see whether it is up and lets this host in: ssh "+string(h), "%s cannot be reached: %s", name, last)
	case has("exec: ", "command not found") && has("ssh"):
		return wrong(recovery.Usage, "install openssh-client, or name another program in COMEBACK_SSH", "ssh cannot be started: %s", last)
	case last == "":
		return wrong(recovery.Failed, "try it: ssh "+string(h), "the connection to %s ended before anything was said", name)
	}
	return wrong(recovery.Failed, "try it: ssh "+string(h), "ssh to %s failed: %s", name, last)
}

// mostWords is enough for a banner and what ssh says after it.
const mostWords = 16 << 10
