package report

import (
	"path/filepath"

	"comeback/recovery"
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
		"cd " + recovery.ShellWord(dir),
		"ssh-keygen -Y verify -f " + recovery.ShellWord(signers) + " -I " + recovery.ShellWord(identity) + " -n " + namespace + " -s " + recovery.ShellWord(signature) + " < " + SumsFile,
		"sha256sum --strict -c " + SumsFile,
	}
}
