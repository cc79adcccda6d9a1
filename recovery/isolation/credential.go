package isolation

import (
	"os/user"
	"strconv"
	"syscall"

	"comeback/recovery"
)

// Credential is what a program runs with as a user: that user's own further groups
// among it, by which a server may read its key or write its archive. Where the host
// does not know the user there are none.
func Credential(u recovery.User) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
	known, err := user.LookupId(strconv.Itoa(u.UID))
	if err != nil {
		return c
	}
	ids, err := known.GroupIds()
	if err != nil {
		return c
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	return c
}
