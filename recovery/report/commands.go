package report

import (
	"path/filepath"
	"strings"
)

// Commands are the commands by which an auditor verifies a report without
// comeback, to be run one after the other. signers is the auditor's own list of
// signers, identity the name in it that is expected; where they are empty the
// commands say so in capitals.
func Commands(dir, signers, identity string) []string {
	return commands(dir, signers, identity, Namespace, SignatureFile)
}

// ReviewCommands are those by which an auditor verifies who has reviewed a report, by the
// review's file.
func ReviewCommands(dir, review string) []string {
	return commands(dir, "", "", ReviewNamespace, review)
}

func commands(dir, signers, identity, namespace, signature string) []string {
	if signers == "" {
		signers = "YOUR_ALLOWED_SIGNERS"
	}
	if identity == "" {
		identity = "NAME"
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	return []string{
		"cd " + quote(dir),
		"ssh-keygen -Y verify -f " + quote(signers) + " -I " + quote(identity) + " -n " + namespace + " -s " + quote(signature) + " < " + SumsFile,
		"sha256sum --strict -c " + SumsFile,
	}
}

// quote writes a word for a shell.
func quote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+:,./_-", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !safe(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
