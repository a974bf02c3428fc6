//go:build linux

package servertest

import "fmt"

// All are the servers that Debian 12 has and that run here, those that start fast first.
func All() []Software {
	return []Software{
		// The tests of package cli fetch from Dovecot in every run. It waits for ten seconds
		// before it says that a maildrop is locked.
		{Name: "Dovecot", Locks: true, TOP: true, STLS: true, POP3S: true, start: startDovecotAlone, put: deliverToDovecot},
		{Name: "GNU Mailutils", Packages: "mailutils-pop3d", Quick: true, Locks: true, TOP: true, STLS: true, POP3S: true, Stamps: true, start: startMailutils, put: appendToMbox},
		{Name: "mpopd", Packages: "mpop", Quick: true, Locks: true, start: startMpopd, put: deliverToMaildir},
		{Name: "popa3d", Packages: "popa3d", Quick: true, TOP: true, start: startPopa3d, put: appendToMbox},
		{Name: "solid-pop3d", Packages: "solid-pop3d", TOP: true, start: startSolid, put: appendToMbox},
		{Name: "Courier", Packages: "courier-pop courier-authdaemon", TOP: true, STLS: true, POP3S: true, start: startCourier, put: deliverToMaildir},
		{Name: "Cyrus", Packages: "cyrus-pop3d sasl2-bin", TOP: true, STLS: true, POP3S: true, start: startCyrus, put: deliverToCyrus},
		{Name: "nginx before Dovecot", Packages: "libnginx-mod-mail", TOP: true, STLS: true, POP3S: true, start: startNginx, put: deliverToDovecot},
		{Name: "perdition before Dovecot", Packages: "perdition", TOP: true, STLS: true, POP3S: true, start: startPerdition, put: deliverToDovecot},
	}
}

func startMailutils(s *Server) error {
	if err := s.makeSpool(); err != nil {
		return err
	}
	conf, err := s.file("pop3d.conf", fmt.Sprintf(`
mode daemon;
foreground yes;
max-children 20;
timeout 600;
logging { syslog no; };
tls {
  ssl-certificate-file %[1]s/cert.pem;
  ssl-key-file %[1]s/key.pem;
};
server %[2]s { tls-mode ondemand; };
server %[3]s { tls-mode connection; };
tcp-wrappers { enable no; };
mailbox { mail-spool "mbox:///var/mail"; };
locking { retry-count 2; retry-sleep 1; };
`, s.dir, s.POP3, s.POP3S))
	if err != nil {
		return err
	}
	return s.spawn("pop3d", "--config-file="+conf)
}

func startMpopd(s *Server) error {
	if err := s.makeMaildirs(); err != nil {
		return err
	}
	args := []string{"mpopd", "--port=" + port(s.POP3), "--log=" + s.dir + "/log"}
	for _, user := range Users() {
		args = append(args, "--auth="+user+",echo "+Password, "--maildir="+s.maildir(user))
	}
	return s.spawn(args...)
}

func startPopa3d(s *Server) error {
	if err := s.makeSpool(); err != nil {
		return err
	}
	if err := s.sh("id popa3d >/dev/null 2>&1 || useradd --system popa3d\nmkdir -p /var/lib/popa3d"); err != nil {
		return err
	}
	return s.serve(s.POP3, "popa3d")
}

func startSolid(s *Server) error {
	if err := s.makeSpool(); err != nil {
		return err
	}
	if err := s.sh("id spop3d >/dev/null 2>&1 || useradd --system --gid mail --home-dir /var/lib/solid-pop3d spop3d"); err != nil {
		return err
	}
	return s.serve(s.POP3, "solid-pop3d")
}
