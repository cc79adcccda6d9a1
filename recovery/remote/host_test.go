package remote

import (
	"strings"
	"testing"

	"comeback/recovery"
)

func TestParseHost(t *testing.T) {
	for _, c := range []struct {
		text, name string // no name: refused
	}{
		{"db1", "db1"}, {"root@db1.example.com", "db1.example.com"}, {"ssh://ops1@db1:2222", "db1:2222"}, {"10.0.0.5", "10.0.0.5"},
		{"fe80::1%eth0", "fe80::1%eth0"}, {"ssh://[2001:db8::1]:22", "[2001:db8::1]:22"}, {"my_host-2", "my_host-2"},
		{"", ""}, {"-oProxyCommand=id", ""}, {"ops1@-oProxyCommand=id", ""}, {"-l@db1", ""}, {"db1 id", ""}, {"db1;id", ""}, {"$(id)", ""}, {"db1\n", ""},
		{"a@b@c", ""}, {"db1/../x", ""}, {"`id`", ""}, {"db1'", ""}, {"\x1b[2J", ""}, {strings.Repeat("a", 1000), ""},
	} {
		h, err := ParseHost(c.text)
		if (err == nil) != (c.name != "") || err == nil && h.Name() != c.name || err != nil && recovery.ExitOf(err) != recovery.Usage {
			t.Errorf("%q: %q, %v", c.text, h.Name(), err)
		}
	}
}

// What ssh says is one sentence about the host, with the code of its sort.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		words, says string
		exit        recovery.Exit
	}{
		{"@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\r\n", "refused: db1 shows another host key", recovery.Refused},
		{"No ED25519 host key is known for db1.\r\nHost key verification failed.\r\n", "does not know the host key of db1", recovery.Usage},
		{"A banner\nops1@db1: Permission denied (publickey).\r\n", "db1 does not let you in: ops1@db1: Permission denied (publickey).", recovery.Usage},
		{"ssh: Could not resolve hostname db1: Name or service not known\r\n", "no host is named db1", recovery.Usage},
		{"ssh: connect to host db1 port 22: Connection refused\r\n", "db1 cannot be reached", recovery.Failed},
		{"ssh: connect to host db1 port 22: Connection timed out\r\n", "db1 cannot be reached", recovery.Failed},
		{"banner exchange: Connection to UNKNOWN port 65535: Broken pipe\r\n", "db1 cannot be reached", recovery.Failed},
		{"sh: 1: exec: ssh: not found\n", "ssh cannot be started", recovery.Usage},
		{"bash: line 1: sh: command not found\n", "ssh to db1 failed: bash: line 1: sh: command not found", recovery.Failed},
		{"", "the connection to db1 ended before anything was said", recovery.Failed},
	} {
		err := explain("ops1@db1", c.words)
		if !strings.Contains(err.Error(), c.says) || recovery.ExitOf(err) != c.exit || recovery.HintOf(err) == "" || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %v, exit %d, hint %q", c.words, err, recovery.ExitOf(err), recovery.HintOf(err))
		}
	}
}
