package provider

// Sources that several entries name.
const (
	ispdb     = "https://github.com/thunderbird/autoconfig, ispdb/"
	outlook   = "https://support.microsoft.com/en-us/office/pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353"
	checked   = "2026-11-26"
	microsoft = `Microsoft takes no password for POP3: use an OAuth 2.0 token (oauth = "microsoft" or token_command, see popfetch-oauth(7)), and switch POP on in the settings of Outlook (Mail > Forwarding and IMAP)`
	chinese   = "switch POP3 on in the settings of the mailbox, and use the authorization code that is shown there in place of the password"
)

// providers returns the table. An entry without Checked has not been verified against a
// source of the provider or of Thunderbird's database: it gives advice and names no server.
func providers() []*Provider {
	return []*Provider{
		{
			Name: "Gmail", Domains: []string{"gmail.com", "googlemail.com"}, Hosts: []string{"aspmx.l.google.com", "smtp.google.com", "googlemail.com"},
			Server: "pop.gmail.com", Source: ispdb + "googlemail.com.xml; https://support.google.com/mail/answer/7104828", Checked: checked,
			Advice: `Gmail needs an app password (Google Account > Security) in place of the usual one, or OAuth 2.0 (oauth = "google"), and POP switched on (Settings > Forwarding and POP/IMAP)`,
		},
		{
			Name: "Outlook.com", Domains: []string{
				"outlook.com", "hotmail.com", "live.com", "msn.com", "windowslive.com", "outlook.de", "outlook.fr", "outlook.it", "outlook.es", "outlook.at", "outlook.be",
				"hotmail.de", "hotmail.fr", "hotmail.it", "hotmail.es", "hotmail.co.uk", "live.de", "live.fr", "live.it", "live.nl", "live.co.uk", "live.at", "live.be",
			}, Hosts: []string{"olc.protection.outlook.com"},
			Server: "outlook.office365.com", OAuth: "microsoft", Advice: microsoft, Source: ispdb + "hotmail.com.xml; " + outlook, Checked: checked,
		},
		{
			Name: "Microsoft 365", Domains: []string{"office365.com", "onmicrosoft.com"}, Hosts: []string{"mail.protection.outlook.com"},
			Server: "outlook.office365.com", OAuth: "microsoft", Advice: microsoft, Source: ispdb + "office365.com.xml; " + outlook, Checked: checked,
		},
		{
			Name: "AOL", Domains: []string{"aol.com", "aim.com", "aol.de", "aol.fr", "aol.it", "aol.co.uk", "netscape.net", "compuserve.com"}, Hosts: []string{"mail.gm0.yahoodns.net"},
			Server: "pop.aol.com", Source: ispdb + "aol.com.xml", Checked: checked,
			Advice: "AOL needs an app password (Account Security > Generate app password) in place of the usual one",
		},
		{
			Name: "Yahoo", Domains: []string{
				"yahoo.com", "yahoo.de", "yahoo.it", "yahoo.fr", "yahoo.es", "yahoo.se", "yahoo.co.in", "yahoo.co.uk", "yahoo.co.nz", "yahoo.com.au", "yahoo.com.ar",
				"yahoo.com.br", "yahoo.com.mx", "ymail.com", "myyahoo.com", "rocketmail.com",
			}, Hosts: []string{"am0.yahoodns.net"},
			Server: "pop.mail.yahoo.com", Source: ispdb + "yahoo.com.xml; https://help.yahoo.com/kb/SLN4724.html", Checked: checked,
			Advice: "Yahoo needs an app password (Account Security > Generate app password) in place of the usual one",
		},
		{
			Name: "Yahoo Japan and AT&T", Domains: []string{"yahoo.co.jp", "att.net"},
			Advice: "the provider needs an app password or a secure mail key (see the security settings of the account) in place of the usual one",
		},
		{
			Name: "iCloud", Domains: []string{"icloud.com", "me.com", "mac.com"}, NoPOP3: true,
			Advice: "iCloud has no POP3, only IMAP", Source: ispdb + "me.com.xml; https://support.apple.com/en-us/102525", Checked: checked,
		},
		{
			Name: "Proton Mail", Domains: []string{"proton.me", "protonmail.com", "protonmail.ch", "pm.me"}, Hosts: []string{"protonmail.ch"}, NoPOP3: true,
			Advice: "Proton Mail has no POP3, and its Bridge speaks only IMAP and SMTP", Source: "https://proton.me/mail/bridge, proton-bridge README", Checked: checked,
		},
		{
			Name: "Tuta", Domains: []string{"tuta.com", "tuta.io", "tutanota.com", "tutanota.de", "tutamail.com", "keemail.me"}, NoPOP3: true,
			Advice: "Tuta has neither POP3 nor IMAP: its mail can only be read with its own programs", Source: "https://tuta.com/support/howto", Checked: checked,
		},
		{
			Name: "GMX", Domains: []string{"gmx.net", "gmx.de", "gmx.at", "gmx.ch", "gmx.eu", "gmx.org", "gmx.info", "gmx.biz"},
			Server: "pop.gmx.net", Source: ispdb + "gmx.net.xml; https://hilfe.gmx.net/pop-imap/einschalten.html", Checked: checked,
			Advice: "GMX needs POP3 switched on (E-Mail > Settings > POP3/IMAP), and with two-factor authentication an app-specific password",
		},
		{
			Name: "GMX.com", Domains: []string{"gmx.com", "gmx.us", "gmx.co.uk"},
			Server: "pop.gmx.com", Source: ispdb + "gmx.com.xml", Checked: checked,
			Advice: "GMX needs POP3 switched on (E-Mail > Settings > POP3/IMAP), and with two-factor authentication an app-specific password",
		},
		{
			Name: "WEB.DE", Domains: []string{"web.de"}, LocalPart: true, Interval: "15m",
			Server: "pop3.web.de", Source: ispdb + "web.de.xml; https://hilfe.web.de/pop-imap/einschalten.html", Checked: checked,
			Advice: "WEB.DE needs POP3 switched on (E-Mail > Einstellungen > POP3/IMAP Abruf), and with two-factor authentication an app-specific password; it allows one login in 15 minutes",
		},
		{
			Name: "T-Online", Domains: []string{"t-online.de", "magenta.de"},
			Server: "securepop.t-online.de", Source: ispdb + "t-online.de.xml; https://www.telekom.de/hilfe/apps-dienste/e-mail/programme/passwort-verwalten", Checked: checked,
			Advice: "T-Online needs its own password for e-mail programs (E-Mail Center > Einstellungen > Passwort für E-Mail-Programme)",
		},
		{
			Name: "Fastmail", Domains: []string{"fastmail.com", "fastmail.fm"}, Hosts: []string{"messagingengine.com"},
			Server: "pop.fastmail.com", Source: "https://www.fastmail.com/help/technical/servernamesandports.html", Checked: checked,
			Advice: "Fastmail needs an app password (Settings > Privacy & Security)",
		},
		{
			Name: "Zoho", Domains: []string{"zoho.com", "zohomail.com"},
			Server: "pop.zoho.com", Source: "https://www.zoho.com/mail/help/pop-access.html", Checked: checked,
			Advice: "Zoho needs POP switched on (Settings > Mail Accounts > POP Access), which free accounts since 2019 cannot do, and with two-factor authentication an application-specific password",
		},
		{
			Name: "mailbox.org", Domains: []string{"mailbox.org"},
			Server: "pop3.mailbox.org", Source: "https://kb.mailbox.org/en/private/e-mail/e-mail-configuration", Checked: checked,
			Advice: "mailbox.org needs an application password if two-factor authentication is on (Settings > Security > Application passwords)",
		},
		{
			Name: "Posteo", Domains: []string{"posteo.de", "posteo.net", "posteo.org", "posteo.eu", "posteo.at", "posteo.ch"},
			Server: "posteo.de", Source: ispdb + "posteo.de.xml; https://posteo.de/hilfe/wie-richte-ich-posteo-in-einem-mailprogramm-ein-pop3-imap-und-smtp", Checked: checked,
		},
		{
			Name: "Orange", Domains: []string{"orange.fr", "wanadoo.fr"},
			Server: "pop.orange.fr", Source: ispdb + "orange.fr.xml", Checked: checked,
		},
		{
			Name: "Free", Domains: []string{"free.fr"}, LocalPart: true,
			Server: "pop.free.fr", Source: ispdb + "free.fr.xml", Checked: checked,
		},
		{
			Name: "Comcast", Domains: []string{"comcast.net"},
			Server: "mail.comcast.net", Source: ispdb + "comcast.net.xml; https://www.xfinity.com/support/articles/third-party-email-access", Checked: checked,
			Advice: "Comcast needs the access of third-party programs switched on (Xfinity e-mail > Settings > Security)",
		},
		{
			Name: "Yandex", Domains: []string{"yandex.com", "yandex.ru", "yandex.by", "yandex.kz", "ya.ru", "narod.ru"}, Hosts: []string{"yandex.net"},
			Server: "pop.yandex.com", Source: ispdb + "yandex.ru.xml", Checked: checked,
			Advice: "Yandex needs POP3 switched on in the settings of the mailbox (Email clients), and an app password",
		},
		{
			Name: "Mail.ru", Domains: []string{"mail.ru", "inbox.ru", "list.ru", "bk.ru"},
			Advice: "Mail.ru needs POP3 switched on in the settings of the mailbox, and an app password",
		},
		{
			Name: "QQ", Domains: []string{"qq.com"}, Server: "pop.qq.com", Source: "https://jishuzhan.net/article/1863901074809688065, https://cloud.kd.cn/ask/9658.html", Checked: checked,
			Advice: "QQ: " + chinese,
		},
		{
			Name: "NetEase", Domains: []string{"163.com"}, Server: "pop.163.com", Source: "https://note.lispstudio.com/dacaf276000eb6a58da4f0ecc45cd0e2", Checked: checked,
			Advice: "163: " + chinese,
		},
		{Name: "NetEase 126 and Sina", Domains: []string{"126.com", "sina.com"}, Advice: "the provider's mailbox: " + chinese},
	}
}
