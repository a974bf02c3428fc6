//go:build linux

package servertest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// PostfixOptions say what Postfix to run.
type PostfixOptions struct {
	Mailboxes []string // addresses that it takes mail for
	Auth      string   // address of Dovecot's service auth, which checks logins; "" = no submission
	Settings  string   // lines at the end of main.cf, which override others
}

// Postfix is a running Postfix. It delivers what it takes into Maildirs, and changes nothing in
// a message, apart from the fields that it adds at the top.
type Postfix struct {
	SMTP        string // address; STARTTLS is offered
	Submission  string // address; demands STARTTLS and a login; "" without PostfixOptions.Auth
	Submissions string // address; demands a login, all inside TLS; "" without PostfixOptions.Auth
	CertFile    string // PEM file to trust; the certificate is for localhost and 127.0.0.1

	*jail
}

// postfixMain is main.cf. By default Postfix drops Bcc and Return-Path, and completes the header
// of what comes from the own machine.
var postfixMain = template.Must(template.New("main.cf").Parse(`
compatibility_level = 3.6
maillog_file = {{.Dir}}/log
maillog_file_prefixes = {{.Dir}}
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains ={{range .Domains}} {{.}}{{end}}
virtual_mailbox_maps = inline:{ {{- range .Mailboxes}} { {{.}} = {{.}}/ }{{end}} }
virtual_mailbox_base = /var/mail
virtual_uid_maps = static:{{.UID}}
virtual_gid_maps = static:{{.GID}}
virtual_mailbox_limit = 0
message_drop_headers =
local_header_rewrite_clients =
smtpd_tls_cert_file = {{.Dir}}/cert.pem
smtpd_tls_key_file = {{.Dir}}/key.pem
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{{.Auth}}
{{.Settings}}
`))

// postfixServices is master.cf: nothing runs in a chroot, and mail is delivered by virtual alone.
var postfixServices = template.Must(template.New("master.cf").Parse(`
{{.SMTP}} inet n - n - - smtpd
{{- if .Submission}}
{{.Submission}} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
{{.Submissions}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
{{- end}}
pickup    unix  n - n 60   1 pickup
cleanup   unix  n - n -    0 cleanup
qmgr      unix  n - n 300  1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -    - trivial-rewrite
bounce    unix  - - n -    0 bounce
defer     unix  - - n -    0 bounce
trace     unix  - - n -    0 bounce
verify    unix  - - n -    1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -    - proxymap
showq     unix  n - n -    - showq
error     unix  - - n -    - error
retry     unix  - - n -    - error
virtual   unix  - n n -    - virtual
anvil     unix  - - n -    1 anvil
postlog   unix-dgram n - n - 1 postlogd
`))

// postfixUsers does what the installation script of the package does. The system may have a
// Postfix of its own, whose queue is none of ours. The mail lies in the shared directory; its owner
// may be unable to get there by its path.
const postfixUsers = `
umask 022
getent group postfix >/dev/null || groupadd --system postfix
getent group postdrop >/dev/null || groupadd --system postdrop
id postfix >/dev/null 2>&1 || useradd --system --gid postfix --no-create-home --home-dir /var/spool/postfix postfix
rm -rf /var/spool/postfix /var/lib/postfix
install -d /var/spool/postfix
install -d -o postfix /var/lib/postfix
chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
chmod 2555 /usr/sbin/postdrop /usr/sbin/postqueue
mount --bind %s /var/mail
`

// StartPostfix runs a Postfix and returns when it listens. Close ends it.
func StartPostfix(o PostfixOptions) (*Postfix, error) {
	packages, err := unpack("postfix")
	if err != nil {
		return nil, fmt.Errorf("Postfix: %w: %w", ErrNoPackages, err)
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	p := &Postfix{CertFile: filepath.Join(dir, certtest.CertFile)}
	if p.jail, err = newJail(dir, packages); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := p.start(o); err != nil {
		err = explain(err, p.Log())
		p.Close()
		return nil, fmt.Errorf("Postfix: %w", err)
	}
	return p, nil
}

func (p *Postfix) start(o PostfixOptions) error {
	mail := filepath.Join(p.dir, "mail")
	if err := errors.Join(os.Mkdir(mail, 0o755), os.Chown(mail, mailUser, mailGroup), p.sh(fmt.Sprintf(postfixUsers, mail))); err != nil {
		return err
	}
	var domains []string
	for _, address := range o.Mailboxes {
		domains = append(domains, address[strings.LastIndexByte(address, '@')+1:])
	}
	slices.Sort(domains)
	err := p.configure("main.cf", postfixMain, map[string]any{
		"Dir": p.dir, "UID": mailUser, "GID": mailGroup, "Mailboxes": o.Mailboxes, "Domains": slices.Compact(domains), "Auth": o.Auth, "Settings": o.Settings,
	})
	// Another process may take the ports before Postfix does.
	for try := 0; err == nil && try < 3; try++ {
		var ports []string
		if ports, err = dovecottest.FreePorts(3); err != nil {
			break
		}
		p.SMTP = net.JoinHostPort("127.0.0.1", ports[0])
		if o.Auth != "" {
			p.Submission, p.Submissions = net.JoinHostPort("127.0.0.1", ports[1]), net.JoinHostPort("127.0.0.1", ports[2])
		}
		if err = p.configure("master.cf", postfixServices, p); err != nil {
			break
		}
		if err = p.sh("postfix start"); err == nil { // returns when it listens
			return nil
		}
	}
	return err
}

// configure writes a file of the configuration.
func (p *Postfix) configure(name string, text *template.Template, data any) error {
	var b bytes.Buffer
	if err := text.Execute(&b, data); err != nil {
		return err
	}
	write := p.command("tee", "/etc/postfix/"+name)
	write.Stdin = &b
	return write.Run()
}

// Maildir is where the mail for an address of PostfixOptions.Mailboxes arrives. It is not there
// before the first message.
func (p *Postfix) Maildir(address string) string { return filepath.Join(p.dir, "mail", address) }

// Log is what the programs of Postfix have written. They write it a little later than they act.
func (p *Postfix) Log() string { return logIn(p.dir) }

// Close ends Postfix and removes its mail.
func (p *Postfix) Close() {
	p.close()
	os.RemoveAll(p.dir)
}
