//go:build linux

package dovecottest

import (
	"bytes"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/template"
)

// conf is for Dovecot 2.3. Root leaves logins to the users that the Debian package has
// made; other users run everything as themselves, without chroot. One login process serves
// many sessions, and failed logins are answered at once.
var conf = template.Must(template.New("dovecot.conf").Parse(`
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/run
log_path = /dev/stderr
protocols = pop3{{if .IMAP}} imap{{end}}{{if .LMTP}} lmtp{{end}}
listen = {{.Listen}}
{{- if not .Root}}
default_internal_user = {{.User}}
default_internal_group = {{.Group}}
default_login_user = {{.User}}
{{- end}}
first_valid_uid = 1
mail_uid = {{.UID}}
mail_gid = {{.GID}}
mail_home = {{.Mail}}/%u
mail_location = {{.Location}}
mail_fsync = never
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 apop
auth_failure_delay = 0
auth_verbose = yes
passdb {
{{- if .Users}}
  driver = passwd-file
  args = {{.Users}}
{{- else}}
  driver = static
  args = password={{.Password}}
{{- end}}
}
userdb {
  driver = static
}
{{- if .POP3S}}
ssl = yes
ssl_cert = <{{.Dir}}/cert.pem
ssl_key = <{{.Dir}}/key.pem
{{- else}}
ssl = no
{{- end}}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service pop3-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {
    port = {{.POP3}}
  }
  inet_listener pop3s {
    port = {{or .POP3S 0}}
  }
}
{{- if .IMAP}}
# A process of its own for each login: one of version 2.3.19 that serves several fails with
# all of them when a client with TLS is killed.
service imap-login {
  chroot =
  process_min_avail = 1
  inet_listener imap {
    port = {{.IMAP}}
  }
  inet_listener imaps {
    port = {{or .IMAPS 0}}
  }
}
{{- end}}
{{- if .LMTP}}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
{{- end}}
{{.Settings}}
`))

// configure writes the configuration for ports that are free now.
func (s *Server) configure() error {
	const loopback = "127.0.0.1"
	ports, err := FreePorts(4)
	if err != nil {
		return err
	}
	s.POP3 = net.JoinHostPort(loopback, ports[0])
	if s.options.Certificate != nil {
		s.POP3S = net.JoinHostPort(loopback, ports[1])
	} else {
		ports[1], ports[3] = "", ""
	}
	if s.options.IMAP {
		s.IMAP = net.JoinHostPort(loopback, ports[2])
		if ports[3] != "" {
			s.IMAPS = net.JoinHostPort(loopback, ports[3])
		}
	} else {
		ports[2] = ""
	}
	owner, err := user.LookupId(strconv.Itoa(s.UID))
	if err != nil {
		return err
	}
	group, err := user.LookupGroupId(owner.Gid)
	if err != nil {
		return err
	}
	listen := s.options.Listen
	if listen == nil {
		listen = []string{loopback}
	}
	location := s.options.Location
	if location == "" {
		location = "maildir:" + s.Mail + "/%u"
	}
	users := ""
	if s.options.Users != nil {
		users = s.usersFile()
	}
	var text bytes.Buffer
	err = conf.Execute(&text, map[string]any{
		"Dir": s.Dir, "Mail": s.Mail, "Listen": strings.Join(listen, ", "), "Root": os.Getuid() == 0,
		"User": owner.Username, "Group": group.Name, "UID": s.UID, "GID": s.GID, "Location": location,
		"Users": users, "Password": Password, "POP3": ports[0], "POP3S": ports[1], "IMAP": ports[2], "IMAPS": ports[3], "LMTP": s.options.LMTP, "Settings": s.options.Settings,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(s.conf, text.Bytes(), 0o644)
}
