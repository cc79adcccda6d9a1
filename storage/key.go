package storage

import (
	"fmt"
	"strings"
)

// CheckKey reports why nothing may be stored under key, in any store: a key is
// a relative path whose components are neither empty, nor "." or "..", and it
// holds no NUL byte. What a store finds under other keys it may still list and
// read.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is empty", ErrConfig)
	case strings.HasPrefix(key, "/"):
		return fmt.Errorf("%w: the key %q is not relative", ErrConfig, key)
	case strings.ContainsRune(key, 0):
		return fmt.Errorf("%w: the key %q holds a NUL byte", ErrConfig, key)
	}
	for part := range strings.SplitSeq(key, "/") {
		switch part {
		case "":
			return fmt.Errorf("%w: the key %q has an empty component", ErrConfig, key)
		case ".", "..":
			return fmt.Errorf("%w: the key %q has a component %q", ErrConfig, key, part)
		}
	}
	return nil
}
