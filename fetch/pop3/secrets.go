package pop3

import "popfetch/internal/mask"

// secrets are what no trace and no error may show.
type secrets struct{ mask.Secrets }

// conceal returns text as it may be shown: with "***" for everything after the status
// indicator and the response code if it gives a secret away.
func (s *secrets) conceal(text string) string {
	if !s.In(text) {
		return text
	}
	kept := ""
	for _, status := range []string{"+OK", "-ERR"} {
		if rest, ok := indicator([]byte(text), status); ok {
			kept, text = status+" ", rest
		}
	}
	switch code := responseCode(text); code {
	case InUse, LoginDelay, AuthCode, SysTemp, SysPerm:
		kept += "[" + string(code) + "] "
	}
	return kept + "***"
}
