package recovery

import (
	"fmt"
	"strconv"
	"strings"
)

// FileIdentity is which file or directory something is, whatever it is called: the
// device that it lies on, its number there, and when it was born, because the
// number of what was removed is given to the next. It is a string in JSON, where
// larger numbers than common readers can hold keep all their digits.
type FileIdentity struct {
	// Device is how the kernel calls the device now: after another boot, or when the file
	// system was mounted anew, it may be another number.
	Device, Inode uint64
	// Born is in nanoseconds since 1970; zero where the file system does not
	// tell.
	Born int64
	// Boot is the boot of the machine in which Device counts, where Born is zero; empty
	// where it is not known.
	Boot string
}

// Is reports whether both are of the same file: of one number, born in the same nanosecond.
// Where no birth is known the device tells, but for what was read in another boot.
func (i FileIdentity) Is(other FileIdentity) bool {
	if i.Inode != other.Inode || i.Born != other.Born {
		return false
	}
	rebooted := i.Boot != "" && other.Boot != "" && i.Boot != other.Boot
	return i.Born != 0 || rebooted || i.Device == other.Device
}

func (i FileIdentity) String() string {
	return fmt.Sprintf("inode %d on device %d", i.Inode, i.Device)
}

// MarshalText writes "device:inode:born", and after a zero birth ":boot" where that is
// known; what is not there is empty.
func (i FileIdentity) MarshalText() ([]byte, error) {
	switch {
	case i == (FileIdentity{}):
		return nil, nil
	case i.Boot != "":
		return fmt.Appendf(nil, "%d:%d:%d:%s", i.Device, i.Inode, i.Born, i.Boot), nil
	}
	return fmt.Appendf(nil, "%d:%d:%d", i.Device, i.Inode, i.Born), nil
}

// UnmarshalText reads what MarshalText wrote.
func (i *FileIdentity) UnmarshalText(b []byte) error {
	*i = FileIdentity{}
	if len(b) == 0 {
		return nil
	}
	parts := strings.SplitN(string(b), ":", 4)
	if len(parts) < 3 {
		return fmt.Errorf("%q is not the identity of a file", b)
	}
	var read FileIdentity
	for n, part := range parts {
		var err error
		switch n {
		case 0:
			read.Device, err = strconv.ParseUint(part, 10, 64)
		case 1:
			read.Inode, err = strconv.ParseUint(part, 10, 64)
		case 2:
			read.Born, err = strconv.ParseInt(part, 10, 64)
		default:
			read.Boot = part
		}
		if err != nil {
			return fmt.Errorf("%q is not the identity of a file", b)
		}
	}
	*i = read
	return nil
}

// sameFile reports whether two texts are of the same file.
func sameFile(was, is string) bool {
	var a, b FileIdentity
	return was != "" && is != "" && a.UnmarshalText([]byte(was)) == nil && b.UnmarshalText([]byte(is)) == nil && a.Is(b)
}
