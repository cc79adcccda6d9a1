package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"comeback/recovery"
)

// AllowedSigners is a reader's own list of who may sign, in the form that
// ssh-keygen(1) describes under ALLOWED SIGNERS.
type AllowedSigners struct {
	// Name is the file's, for errors.
	Name  string
	lines []signerLine
	// Problems says what is wrong with lines that were passed over, as
	// ssh-keygen passes over them.
	Problems []string
}

// signerLine is one line of the list.
type signerLine struct {
	number     int
	principals string // a pattern list
	key        ssh.PublicKey
	options    signerOptions
}

// ReadAllowedSigners reads a list of signers from a file.
func ReadAllowedSigners(path string) (*AllowedSigners, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, recovery.Errorf("name your own list of signers; each line is a name and a public key", "read the list of signers: %w", err)
	}
	defer f.Close()
	return ParseAllowedSigners(path, f)
}

// maxSignerLine bounds a line; the longest key is far below it.
const maxSignerLine = 1 << 20

// ParseAllowedSigners reads a list of signers. Lines that are wrong are passed
// over and told in Problems.
func ParseAllowedSigners(name string, r io.Reader) (*AllowedSigners, error) {
	a := &AllowedSigners{Name: name}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxSignerLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		l, err := parseSignerLine(line)
		if err != nil {
			a.Problems = append(a.Problems, fmt.Sprintf("line %d: %v", n, err))
			continue
		}
		l.number = n
		a.lines = append(a.lines, l)
	}
	if err := lines.Err(); err != nil {
		return nil, recovery.Errorf("give a list of signers, one name and public key a line", "read the list of signers %s: %w", name, err)
	}
	return a, nil
}

// parseSignerLine reads "principals [options] keytype base64 [comment]".
func parseSignerLine(line string) (signerLine, error) {
	var l signerLine
	var err error
	if l.principals, line, err = cutPrincipals(line); err != nil {
		return l, err
	}
	if l.key, err = parseKey(line); err == nil {
		return l, nil
	}
	options, rest, err := cutOptions(line)
	if err != nil {
		return l, err
	}
	if l.options, err = parseSignerOptions(options); err != nil {
		return l, err
	}
	l.key, err = parseKey(rest)
	return l, err
}

// cutPrincipals splits off the first field, which may be quoted in part as
// ssh-keygen allows.
func cutPrincipals(line string) (principals, rest string, err error) {
	i := strings.IndexAny(line, " \t\r\"")
	if i < 0 {
		return "", "", errors.New("there is a name and no key")
	}
	if line[i] != '"' {
		return line[:i], strings.TrimLeft(line[i:], " \t\r"), nil
	}
	quoted, rest, ok := strings.Cut(line[i+1:], `"`)
	if !ok {
		return "", "", errors.New("a quote is not closed")
	}
	return line[:i] + quoted, strings.TrimLeft(rest, " \t\r"), nil
}

func parseKey(s string) (ssh.PublicKey, error) {
	fields := strings.Fields(s)
	if len(fields) < 2 {
		return nil, errors.New("there is no key")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(fields[0] + " " + fields[1]))
	if err != nil || key.Type() != fields[0] {
		return nil, errors.New("the key is not a public key of ssh")
	}
	return key, nil
}

// find looks for the line that allows a key to sign in a namespace at a time,
// for a name or, where name is empty, for any that the line gives. It returns
// the principal: the name, or as the list writes it.
func (a *AllowedSigners) find(key ssh.PublicKey, name, namespace string, now time.Time) (string, error) {
	var reasons []string
	for _, l := range a.lines {
		principal, err := l.allows(key, name, namespace, now)
		if err == nil {
			return principal, nil
		}
		if !errors.Is(err, errOtherLine) {
			reasons = append(reasons, fmt.Sprintf("line %d: %v", l.number, err))
		}
	}
	named := len(reasons) > 0
	reasons = append(reasons, a.Problems...)
	who := describe(key).Fingerprint
	if name != "" {
		who = fmt.Sprintf("%s as %s", who, name)
	}
	why := ""
	if len(reasons) > 0 {
		why = " (" + strings.Join(reasons, "; ") + ")"
	}
	refusal := recovery.Errorf("trust the report only if you know this key from somewhere else; then add it to your list",
		"%s does not allow the key %s to sign%s", a.Name, who, why)
	if named {
		refusal.Err = errNamed
	}
	return "", refusal
}

// errNamed says that a list names a key and refuses it: it is no stranger's.
var errNamed = errors.New("the list names the key and refuses it")

// errOtherLine says that a line is about another key or another name.
var errOtherLine = errors.New("is about another signer")

func (l signerLine) allows(key ssh.PublicKey, name, namespace string, now time.Time) (string, error) {
	if name != "" && !matchList(name, l.principals) {
		return "", errOtherLine
	}
	principal := name
	cert, certified := key.(*ssh.Certificate)
	switch {
	case !l.options.authority && equalKeys(l.key, key):
		if principal == "" {
			principal = l.principals
		}
	case l.options.authority && certified && equalKeys(l.key, cert.SignatureKey):
		var err error
		if principal, err = l.certified(cert, name, now); err != nil {
			return "", err
		}
	default:
		return "", errOtherLine
	}
	return principal, l.options.permit(namespace, now)
}

// certified checks a certificate of the line's authority as ssh-keygen does,
// and gives the principal that it proves.
func (l signerLine) certified(cert *ssh.Certificate, name string, now time.Time) (string, error) {
	if cert.CertType != ssh.UserCert {
		return "", errors.New("the certificate is a host's")
	}
	i := slices.IndexFunc(cert.ValidPrincipals, func(p string) bool {
		return p == name || name == "" && matchList(p, l.principals)
	})
	if i < 0 {
		return "", errors.New("the certificate names nobody that the line allows")
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	for option := range cert.CriticalOptions {
		// They restrict logins, not signatures.
		checker.SupportedCriticalOptions = append(checker.SupportedCriticalOptions, option)
	}
	if now.IsZero() && (cert.ValidAfter != 0 || cert.ValidBefore != ssh.CertTimeInfinity) {
		return "", errNoTime
	}
	if err := checker.CheckCert(cert.ValidPrincipals[i], cert); err != nil {
		return "", fmt.Errorf("the certificate is not valid: %w", err)
	}
	return cert.ValidPrincipals[i], nil
}

func equalKeys(a, b ssh.PublicKey) bool { return string(a.Marshal()) == string(b.Marshal()) }

// isPrincipal reports whether a name stands for itself in a list of signers.
func isPrincipal(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`",*?!#`, r)
	})
}

// AllowedSigner writes a line of a list of signers that lets a key sign reports
// as name, and nothing else.
func AllowedSigner(name string, key Key) (string, error) {
	if !isPrincipal(name) || key.public == nil {
		return "", recovery.Errorf("use a name like ops1@example.com", "%q cannot stand in a list of signers", name)
	}
	public := key.public
	if c, ok := public.(*ssh.Certificate); ok {
		public = c.Key
	}
	return fmt.Sprintf("%s namespaces=\"%s\" %s\n", name, Namespace, marshalPublic(public)), nil
}
