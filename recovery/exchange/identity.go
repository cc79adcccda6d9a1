package exchange

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Identity is which file or directory something is, whatever it is called: the
// device that it lies on, its number there, and when it was born, because the
// number of what was removed is given to the next. It is a string in JSON, where
// larger numbers than common readers can hold keep all their digits.
type Identity struct {
	Device, Inode uint64
	// Born is in nanoseconds since 1970; zero where the file system does not
	// tell.
	Born int64
}

// Identify reads the identity of what stands at a path itself, not of what a
// symbolic link there leads to. Its error is fs.ErrNotExist where nothing does.
func Identify(path string) (Identity, error) {
	st, err := statx(path)
	if err != nil {
		return Identity{}, err
	}
	return identityOf(st), nil
}

func identityOf(st unix.Statx_t) Identity {
	id := Identity{Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.Born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id
}

func (i Identity) String() string { return fmt.Sprintf("inode %d on device %d", i.Inode, i.Device) }

// MarshalText writes "device:inode:born"; what is not there is empty.
func (i Identity) MarshalText() ([]byte, error) {
	if i == (Identity{}) {
		return nil, nil
	}
	return fmt.Appendf(nil, "%d:%d:%d", i.Device, i.Inode, i.Born), nil
}

// UnmarshalText reads what MarshalText wrote.
func (i *Identity) UnmarshalText(b []byte) error {
	*i = Identity{}
	if len(b) == 0 {
		return nil
	}
	if n, err := fmt.Sscanf(string(b), "%d:%d:%d", &i.Device, &i.Inode, &i.Born); n != 3 || err != nil {
		return fmt.Errorf("%q is not the identity of a file", b)
	}
	return nil
}

func statx(path string) (unix.Statx_t, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_TYPE|unix.STATX_BTIME|unix.STATX_MNT_ID, &st)
	if err != nil {
		return st, fmt.Errorf("look at %s: %w", path, err)
	}
	return st, nil
}
