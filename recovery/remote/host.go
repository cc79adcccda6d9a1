package remote

import (
	"strings"

	"comeback/pattern"
	"comeback/recovery"
)

// Host is where ssh goes: a name of its configuration, a host, user@host or
// ssh://user@host:port. It is never an option of ssh, and holds nothing that a
// shell or ssh's configuration reads as more than a name.
type Host string

var hostName = pattern.New(`^(ssh://)?([A-Za-z0-9_.+][A-Za-z0-9_.+-]*@)?(\[[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?\](:[0-9]+)?|[A-Za-z0-9_.:][A-Za-z0-9_.:%-]*)$`)

// maxHost is longer than any name of a host with a user.
const maxHost = 320

// ParseHost reads the name of a host as a person has written it.
func ParseHost(text string) (Host, error) {
	if len(text) > maxHost || !hostName.MatchString(text) {
		return "", recovery.Errorf("write it as for ssh: HOST, USER@HOST, ssh://USER@HOST:PORT, or a name of ~/.ssh/config",
			"%.80q is not the name of a host", text).WithExit(recovery.Usage)
	}
	return Host(text), nil
}

// Name is the host without its user and port, for sentences.
func (h Host) Name() string {
	name := strings.TrimPrefix(string(h), "ssh://")
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		name = name[i+1:]
	}
	return name
}
