package config

import "strings"

// didYouMean returns a question to append to a message, "" if no name is similar.
func didYouMean(got string, names []string) string {
	if n := Nearest(got, names); n != "" {
		return "; did you mean \"" + n + "\"?"
	}
	return ""
}

// Nearest returns the name that got is probably meant to be, "" if none is similar
// enough.
func Nearest(got string, names []string) string {
	if len(got) > 64 {
		return ""
	}
	got = strings.ToLower(strings.ReplaceAll(got, "-", "_"))
	best, bestDist := "", 1+max(1, len(got)/3)
	for _, n := range names {
		if d := distance(got, strings.ReplaceAll(n, "-", "_")); d < bestDist {
			best, bestDist = n, d
		}
	}
	return best
}

// distance returns how many octets must be inserted, removed, replaced or swapped
// with their neighbour to turn a into b.
func distance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// otherName returns the key for what other programs call got, "" if none.
func otherName(got string) string {
	switch strings.ToLower(strings.ReplaceAll(got, "-", "_")) {
	case "host", "hostname", "poll":
		return "server"
	case "state_file", "state_path", "statefile", "idfile", "uidls_file":
		return "state"
	case "username", "login":
		return "user"
	case "passwordeval", "passwd_command", "password_cmd", "password_eval":
		return "password_command"
	case "oauth2_command", "access_token_command", "oauthbearer_command":
		return "token_command"
	case "ssl", "tls_starttls", "starttls", "sslproto":
		return "tls"
	case "tls_trust_file", "sslcertfile", "ca_file":
		return "tls_ca_file"
	case "sslfingerprint", "fingerprint":
		return "tls_fingerprint"
	case "destination", "path", "folder":
		return "maildir"
	case "lmtp_server", "lmtp_socket":
		return "lmtp"
	case "command", "deliver":
		return "mda"
	case "delete", "delete_after", "delete_older_than", "leave_on_server":
		return "keep"
	case "max_message_size", "killsize", "limit":
		return "max_size"
	case "fetchlimit", "max_messages_per_session":
		return "max_messages"
	}
	return ""
}
