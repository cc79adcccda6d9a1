package isolation

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"comeback/recovery"
)

// A program that runs as a user has the groups that the host gives to that user.
func TestCredential(t *testing.T) {
	for _, name := range []string{"root", "daemon", "sync"} {
		t.Run(name, func(t *testing.T) {
			ids := func(args ...string) []string {
				out, err := exec.Command("id", append(args, name)...).Output()
				if err != nil {
					t.Fatal(err)
				}
				return strings.Fields(string(out))
			}
			uid, err := strconv.Atoi(ids("-u")[0])
			if err != nil {
				t.Fatal(err)
			}
			gid, err := strconv.Atoi(ids("-g")[0])
			if err != nil {
				t.Fatal(err)
			}
			c := Credential(recovery.User{Name: name, UID: uid, GID: gid})
			var groups []string
			for _, g := range c.Groups {
				groups = append(groups, strconv.Itoa(int(g)))
			}
			want := ids("-G")
			slices.Sort(groups)
			slices.Sort(want)
			if int(c.Uid) != uid || int(c.Gid) != gid || !slices.Equal(groups, want) {
				t.Errorf("%+v, want the groups %v", c, want)
			}
		})
	}
	if c := Credential(recovery.User{UID: 4_000_001, GID: 4_000_001}); c.Uid != 4_000_001 || c.Gid != 4_000_001 || len(c.Groups) != 0 {
		t.Errorf("a user that nobody knows: %+v", c)
	}
}
