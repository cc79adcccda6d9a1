package storage

import (
	"context"
	"fmt"
	"os/user"
)

// Identity is the user that reads the directory; a directory has no account.
func (d *dir) Identity(context.Context) (who, account string, err error) {
	u, err := user.Current()
	if err != nil {
		return "", "", fmt.Errorf("name this user: %w", err)
	}
	return "user " + u.Username, "", nil
}

var _ Identifier = (*dir)(nil)
