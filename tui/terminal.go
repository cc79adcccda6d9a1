package tui

import (
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// Usable says whether the console can be shown here, and if not, why: both ends
// must be a terminal that can move its cursor. Elsewhere plain lines do.
func Usable(environ []string, in io.Reader, out io.Writer) (ok bool, why string) {
	switch name := variable(environ, "TERM"); {
	case !isTerminal(in):
		return false, "the input is not a terminal"
	case !isTerminal(out):
		return false, "the output is not a terminal"
	case name == "":
		return false, "TERM is not set"
	case name == "dumb":
		return false, "TERM=dumb: the terminal cannot move its cursor"
	}
	return true, ""
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// profileOf is how many colours may be used. NO_COLOR counts whatever its value
// is; the library would read it as a boolean and ask tmux for the rest.
func profileOf(environ []string) colorprofile.Profile {
	name := variable(environ, "TERM")
	if variable(environ, "NO_COLOR") != "" || name == "" || name == "dumb" ||
		strings.HasPrefix(name, "vt1") || strings.HasPrefix(name, "vt2") || strings.HasSuffix(name, "-mono") {
		return colorprofile.ASCII
	}
	return colorprofile.ANSI
}

// speaksUTF8 reads the locale as the C library does: the first of the three
// that is set decides.
func speaksUTF8(environ []string) bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := variable(environ, key); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// variable is the value of an environment variable; the last one counts.
func variable(environ []string, key string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(environ[i], "="); ok && k == key {
			return v
		}
	}
	return ""
}
