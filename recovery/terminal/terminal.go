// Package terminal makes pseudo terminals for programs that talk with people.
package terminal

import (
	"errors"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Open makes one: our end, which can be closed while it is read, and the program's, which is
// to be closed here once the program has it.
func Open() (ours, theirs *os.File, err error) {
	blocking, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return os.NewFile(uintptr(fd), blocking.Name()), theirs, nil
}
