# What the portal's pages say, in English. `zh-Hans.ftl` says the same.

# The frame of every page
product = Mailbox security
skip = Skip to the content
sign-out = Sign out
nav = Sections
nav-security = My security
nav-factors = Second factors
nav-app-passwords = App passwords
nav-app-password = App password
nav-guides = Set-up guides
footer = Never tell anyone your codes or passwords. Nobody from your administration will ask for them.
tab-factors = Factors
tab-guides = Guides
manage = Manage
cancel = Cancel
back = Back
copy = Copy
copied = Copied
copy-refused = Not copied: select it and copy by hand
print = Print
this-browser = This browser
help-title = Help from your organisation
help-contact = Questions?

# Moments
when-now = just now
when-minutes = { $count ->
    [one] 1 minute ago
   *[other] { $count } minutes ago
}
when-hours = { $count ->
    [one] 1 hour ago
   *[other] { $count } hours ago
}
when-days = { $count ->
    [one] 1 day ago
   *[other] { $count } days ago
}
when-in-minutes = { $count ->
    [one] in 1 minute
   *[other] in { $count } minutes
}
when-in-hours = { $count ->
    [one] in 1 hour
   *[other] in { $count } hours
}
when-in-days = { $count ->
    [one] in 1 day
   *[other] in { $count } days
}

# Signing in
sign-in-title = Sign in
sign-in-lead = Look after two-step verification and the passwords of your mail clients.
sign-in-login = Mail address
sign-in-password = Mailbox password
sign-in-password-hint = The password that you use in webmail, not an app password.
sign-in-button = Sign in
sign-in-guides = Looking for the settings of your mail client?
sign-in-wrong = The mail address or the password is wrong. Check both and try again; if you forgot your password, ask your administrator.
sign-in-too-many = Too many attempts. Wait a few minutes, then try again.
sign-in-suspended = This account is suspended. Ask your administrator to resume it.
sign-in-unavailable = The mail server does not answer right now, so that your password could not be checked. Try again in a minute.
sign-in-ended = You are signed out: you were away for a while, or were signed out from another browser. Sign in to go on.

# Codes
code-title = Confirm that it is you
code-totp-lead = Open your authenticator app and type the code that it shows for this mailbox.
code-recovery-lead = Type one of the recovery codes that you kept. Each of them works once.
verify-title = Confirm to go on
verify-password-lead = You are about to change something that protects your mailbox. Type your mailbox password once more: it was given more than ten minutes ago.
verify-lead = You are about to change something that protects your mailbox. Type the code that your authenticator app shows.
code-totp-label = Code from the app
totp-code-label = { $digits ->
    [6] Six-digit code
    [7] Seven-digit code
   *[other] Eight-digit code
}
code-recovery-label = Recovery code
code-recovery-hint = Capitals and blanks do not matter.
code-button = Continue
code-others = Use another way
code-lost = Lost your phone or key, and your recovery codes? Ask your administrator to unbind the second factor.
code-wrong = This code is wrong or was used already. Wait for the next one and type it without delay; check that your phone's clock is right.
code-recovery-wrong = This recovery code is wrong or was used already. Try another one.
code-too-many = Too many wrong codes. Wait a few minutes, then try again.
code-unavailable = The code could not be checked right now. Try again in a minute.
way-totp = Code from an authenticator app
way-recovery = Recovery code

# Trusting this browser
trust-title = Trust this device?
trust-lead = { $days ->
    [one] For 1 day, this browser will not be asked for a second factor.
   *[other] For { $days } days, this browser will not be asked for a second factor.
}
trust-lead-hours = { $hours ->
    [one] For 1 hour, this browser will not be asked for a second factor.
   *[other] For { $hours } hours, this browser will not be asked for a second factor.
}
trust-yes = Trust
trust-no = Not now
trust-hint = Trust only a device of your own. You can withdraw it at any time.

# My security
state-on = Two-step verification is on
state-on-lead = The mailbox password alone opens neither this page nor a mail client.
state-off = Two-step verification is off
state-off-lead = Whoever learns your mailbox password can read your mail.
state-off-quick = It takes two minutes to change that.
state-bind = Turn it on
live-title = Connected now
live-empty = No mail client is connected right now.
live-end = End
live-end-named = End the session of { $name }
devices-title = Trusted devices
devices-lead = These browsers are not asked for a second factor when they sign in.
devices-empty = You trust no device yet. You are asked after signing in with a second factor.
device-until = Trusted until { $day }
device-remove = Withdraw
device-remove-named = Withdraw the trust in { $name }
browsers-title = Browsers
browsers-lead = Browsers that were signed in here during the last 30 days, the latest first.
browser-gone = signed out
browser-end-named = Sign out { $name }
recent-title = Recent sign-ins
recent-empty = Nothing happened in the last 30 days.
recent-hint = Something here was not you? Change your mailbox password first, then lock everything.
recent-why = A client that is refused for “not an app password” still uses the mailbox password, or an app password that was deleted.
lock-title = Lock everything
lock-lead = If you think that somebody else got in: ends all sessions and deletes all app passwords at once.
lock-button = Lock everything

# Factors
factors-title = Second factors
factors-lead = With a second factor, your mailbox password alone is worth nothing to a thief.
factors-clients-title = Mail clients
factors-clients-lead = A mail client cannot ask for a code. It gets a password of its own instead: an app password.
factors-clients-button = App passwords for mail clients
totp-name = Authenticator app
totp-lead = An app on your phone shows a code that changes all the time. It works without network.
factors-bound = Bound
factors-none = Nothing is bound yet.
factor-change = Replace
factor-change-named = Replace { $name }
factor-unbind-named = Unbind { $name }
factor-rename-title = Rename { $name }
factor-name-hint = So that you recognise it later, when you have several.
factor-another = Bind another
factor-too-many = You have as many second factors as you may have. Unbind one that you do not use, then try again.
choose-title = Bind a second factor
choose-lead = Choose what you would like to use. You can bind several, and use any of them.
choose-button = Choose
recommended = Recommended
choose-named = Choose: { $kind }
factor-bound = Bound { $when }
factor-used = Bound { $when }, last used { $used }

# A backup mailbox
mailbox-name = Backup mailbox
mailbox-lead = A code is sent to another mailbox of yours. Weaker than an app: whoever reads that mailbox has the codes.
mailbox-bind-title = Bind a backup mailbox
mailbox-change-title = Change the backup mailbox
mailbox-bind-lead = Codes go to a mailbox of yours that is somewhere else, so that you can read them when you are locked out here.
mailbox-replaces = The mailbox that is bound now stays valid until you confirm the new one; then it is unbound.
mailbox-address-title = Which mailbox?
mailbox-again-title = No code? Send another
mailbox-address = Mail address
mailbox-address-hint = Not one of this mail system: you could not read the code there. Codes are sent a few times an hour at most.
mailbox-send = Send a code
mailbox-sent = A code was sent to { $address }
mailbox-sent-lead = It is good for five minutes and works once. Look into the junk folder, too.
mailbox-code-label = Six-digit code from the mail
mailbox-confirm = Confirm and bind
mailbox-wrong = This code is wrong, was used already, or was tried too often. Type the latest one, or send another.
mailbox-expired = This took too long: the code is not good any more. Send another.
mailbox-bad = No mail can be sent to this address. Check it.
mailbox-ours = This address belongs to this mail system. Take one that is somewhere else.
mailbox-too-many = Too many codes were sent lately. Wait an hour, then try again.
mailbox-failed = The code could not be sent right now. Try again in a minute, or use another way.
code-mailbox-lead = A code will be sent to your backup mailbox.
code-mailbox-sent-lead = Type the code that was sent to your backup mailbox. It is good for five minutes.
code-mailbox-send = Send a code
code-mailbox-again = Send another code
code-mailbox-wrong = This code is wrong, was used already, or is too old. Type the latest one, or send another.
way-mailbox = Code to the backup mailbox

# Recovery codes
recovery-name = Recovery codes
recovery-lead = For the day on which your phone is lost. Each code works once instead of your second factor.
recovery-left = { $count ->
    [0] No code left
    [one] 1 code left
   *[other] { $count } codes left
}
recovery-renew = Make new codes
recovery-renew-hint = The codes that you have stop working.
recovery-title = Your recovery codes
recovery-bound-lead = Two-step verification is on. Keep these codes for the day on which your phone is lost.
recovery-new-lead = The codes that you had before do not work any more.
recovery-once = These codes are shown only now. Save or print them before you go on, and do not keep them on your phone.
recovery-use = Each code works once, instead of your second factor.
recovery-download = Download
recovery-file = recovery-codes.txt
recovery-file-text = Recovery codes for { $address } at { $site }. Each works once.
recovery-kept = I have kept them

# The first binding
first-title = Turn on two-step verification
first-lead = Two steps, a few minutes. Prepare your mail clients first, so that none of them stops.
first-required = Your organisation requires two-step verification. Prepare your mail clients first, so that none of them stops, then bind.
first-elsewhere = A first factor can only be bound in your organisation's network. Connect to it, or ask your administrator for a link with which it works from here. Until then no app passwords can be made either.
first-needs-link = For the first factor you need a link from your administrator. Ask for one, and open it in this browser. Until then no app passwords can be made either.
first-link-void = This link does not help here: it was made for another account, was used already, is too old, or was replaced by a newer one. Ask your administrator for a new one.
first-step-passwords = Give your mail clients app passwords
first-step-passwords-later = They work from the moment at which you bind. Make one for each client, and type it there in place of the mailbox password.
first-step-passwords-closed = They can be made as soon as a second factor can be bound: one for each client, typed there in place of the mailbox password.
first-step-passwords-lead = They work at once. Make one for each client, and type it there in place of the mailbox password.
first-clients = These clients used your mailbox password in the last 30 days:
first-clients-none = No mail client used your mailbox password in the last 30 days. You can go straight on.
first-make = Make one
first-make-named = Make an app password for { $name }
first-made = { $count ->
    [one] You have 1 app password.
   *[other] You have { $count } app passwords.
}
first-step-bind = Bind a second factor
first-step-bind-lead = From that moment:
first-will-code = Signing in here takes your mailbox password and the second factor.
first-will-stop = Mail clients get in with app passwords only. Those that still use the mailbox password are refused.
first-will-end = Connections that rest on the mailbox password, and your other signed-in browsers, end.
first-will-codes = You get ten recovery codes for the day on which your phone is lost.
first-bind-button = Choose a second factor
totp-bind-title = Bind an authenticator app
totp-change-title = Change the authenticator app
totp-bind-lead = Any authenticator app will do: Tencent Authenticator, Microsoft Authenticator, Google Authenticator, 1Password and many more.
totp-replaces = The app that is bound now stays valid until you confirm the new one; then it is unbound.
totp-step-app = Install an authenticator app
totp-step-app-lead = If your phone has none yet, get one from its app store.
totp-step-scan = Scan this code with it
totp-step-scan-lead = Choose “Add account” or “Scan QR code” in the app.
totp-qr = QR code for your authenticator app; the key beside it does the same
totp-key = Or type this key
totp-key-hint = Time-based, { $digits } digits, { $seconds } seconds. Do not share it: whoever has it can make your codes.
totp-open-app = Open in an app on this device
totp-step-code = Type the code that it shows
totp-confirm = Confirm and turn on
totp-confirm-change = Confirm and change
totp-wrong = This code does not match. Wait for the next one, and check that your phone sets its clock by itself.
totp-expired = This took too long, so there is a new code to scan. Remove the one that you scanned before from the app.

# Passkeys
or = or
sign-in-passkey = Sign in with a passkey
passkey-name = Passkey or security key
passkey-lead = Your fingerprint, face or PIN on this device, or a key that you plug in. Nothing to type.
passkey-button = Use a passkey
passkey-waiting = Follow what your browser shows.
passkey-cancelled = Nothing was confirmed. Try again, and follow what your browser shows.
passkey-known = This device or key is bound already.
passkey-unable = This browser cannot use passkeys. Use another browser, or another way.
passkey-no-script = Passkeys need JavaScript. Turn it on for this site, or use another way.
passkey-expired = This took too long. Try again.
passkey-wrong = This passkey could not be bound. Try again, or use another device or key.
passkey-bind-title = Bind a passkey
passkey-change-title = Replace the passkey
passkey-bind-lead = Your browser asks for your fingerprint, face or PIN, or for a security key.
passkey-replaces = The passkey that is bound now stays valid until the new one is there; then it is unbound.
passkey-is-device = On a phone or computer, the passkey stays there or with your account at its maker.
passkey-is-key = A security key works on every computer.
passkey-is-alone = Where the passkey asks for fingerprint, face or PIN, it also signs you in without the mailbox password.
passkey-name-hint = So that you recognise it later, when you have several.
passkey-bind-button = Create the passkey
passkey-entry-title = Sign in with a passkey
passkey-entry-lead = Neither address nor password: choose your passkey, and confirm with fingerprint, face or PIN.
passkey-entry-wrong = This passkey does not sign you in here. Sign in with mail address and password, or ask your administrator.
passkey-entry-otherwise = Use mail address and password
code-passkey-lead = Confirm with the passkey or security key that you bound to this mailbox.
verify-passkey-lead = You are about to change something that protects your mailbox. Confirm with your passkey or security key.
code-passkey-wrong = This passkey was not accepted. Try again, or use another way.
way-passkey = Passkey or security key
attempt-passkey = Signed in here with a passkey
attempt-passkey-refused = Sign-in here with a passkey refused
new-wrong-password = This is not your mailbox password. Check it and try again.
new-password-hint = You signed in without it. It is needed once, to be sealed to your app passwords.

# Unbinding
unbind-title = Unbind “{ $name }”?
unbind-lead = Two-step verification will be off.
unbind-refused = Your organisation requires two-step verification, so that the last factor cannot be unbound. You can replace it instead.
unbind-refused-another = Your organisation requires two-step verification, so that the last factor cannot be unbound. Bind another one first.
unbind-password = Your mailbox password alone opens this page again.
unbind-keeps = Your app passwords stay valid; mail clients can also use the mailbox password again.
unbind-stops = { $count ->
    [0] Mail clients use the mailbox password again.
    [one] Your app password is deleted: the client that uses it needs the mailbox password again.
   *[other] Your { $count } app passwords are deleted: the clients that use them need the mailbox password again.
}
unbind-codes = Your recovery codes stop working.
unbind-ends = All trusted devices and your other signed-in browsers are signed out.
unbind-button = Unbind
unbind-one-lead = Your other second factors stay; two-step verification stays on.

# App passwords
app-passwords-lead = Each mail client has a password of its own. If a phone is lost, delete its password; nothing else changes.
app-passwords-none = No app password yet
app-passwords-empty = Make one for each mail client. It takes a minute.
app-password-new = New app password
app-password-name = Name
app-password-manage = Rename or delete
app-password-manage-named = Rename or delete { $name }
app-password-facts = Details
app-password-expired = Expired
app-password-stale = Waiting for your new mailbox password
app-password-unused = Never used
app-password-used = { $when } from { $from }
app-password-used-by = { $when } from { $from } with { $client }
app-password-void = Damaged: delete it
fact-label = Begins with
fact-used = Last used
fact-created = Created
fact-scope = Good for
fact-expires = Valid until
scope-all = IMAP, POP3 and SMTP
scope-read-only = { $protocols }, read only
scope-networks = { $protocols }, from { $networks }
expires-never = you delete it
rename-title = Rename
rename-button = Save
rename-bad = This name cannot be used. Take 1 to 64 characters.
delete-title = Delete
delete-lead = The client that uses it is disconnected at once, and cannot get in with it any more.
delete-button = Delete “{ $name }”
delete-all-title = Delete all at once
delete-all-hint = Every mail client is disconnected, and needs a new app password.
delete-all-button = Delete all
delete-all-confirm = Delete all app passwords?
delete-all-lead = { $count ->
    [one] Your only app password stops working.
   *[other] All { $count } app passwords stop working.
}
delete-all-ends = Every mail client is disconnected at once.
delete-all-new = Each client needs a new app password before it gets mail again.
new-lead = For one mail client on one device.
new-name-example = Foxmail at work
new-name-hint = So that you recognise it later: the client, the device.
new-suggestions = Suggestions
new-limits = Limits (optional)
new-protocols = Good for
new-read-only = May only read
new-read-only-hint = The client shows and searches your mail. It cannot send, delete, move or mark anything.
new-read-only-sends = A password that may only read sends nothing. Choose a way to receive.
new-expires = Valid for
new-expires-never = Until I delete it
new-expires-days = { $count ->
    [one] 1 day
   *[other] { $count } days
}
new-networks = Only from these networks
new-networks-hint = Addresses and networks, with commas between them. Empty: from anywhere. You are at { $address } right now; a phone is somewhere else all the time.
new-bad-network = “{ $network }” is no address and no network. Write 192.0.2.7 or 192.0.2.0/24.
new-many-networks = { $count ->
    [one] One network is the most there may be.
   *[other] { $count } networks are the most there may be.
}
new-button = Make app password
new-bad-name = This name cannot be used. Take 1 to 64 characters.
new-no-protocol = Choose at least one protocol, or this password is good for nothing.
new-too-many = You have as many app passwords as you may have. Delete one that you do not need, then try again.
new-unavailable = The app password may not have been made. Look at your app passwords in a minute, delete this one if it is there, and make another.
new-needs-password = Your session does not hold your mailbox password. Type it below.
new-busy = Many app passwords are being made right now. Try again in a moment.
protocol-imap = Receive with IMAP
protocol-pop3 = Receive with POP3
protocol-smtp = Send
created-title = Your new app password
created-heading = App password for { $name }
created-lead = Type it into your mail client in place of the mailbox password.
created-rests = Your organisation requires a second factor: this password works from the moment at which you bind one. Type it into your mail client now, then go on to bind.
created-read-only = This password may only read: your client will not send with it, and what it deletes, moves or marks stays as it was.
created-once = Shown only now. Blanks do not matter. If you lose it, delete it and make another.
created-done = Done
try-title = Test it now
try-lead = Set up your mail client, then watch it get in.
try-button = Wait for the first login
try-waiting = Waiting for { $name }
try-waiting-lead = Open your mail client and let it check for mail. This page notices by itself.
try-again = Look again
try-seen = It works
try-seen-lead = Last login { $used }.
try-nothing = Nothing has arrived yet
try-nothing-lead = Compare server, port, encryption and address in your mail client with the guide, then look again.

# Settings
settings-title = Settings for your mail client
settings-guides = Step by step
settings-server = For
settings-host = Server
settings-address = User name
settings-password = Password
settings-password-is = the app password above
settings-password-is-yours = an app password, not your mailbox password
settings-login = User name and password are the same for receiving and sending. Prefer SSL/TLS where you can choose.
settings-imap = Receive (IMAP)
settings-pop3 = Receive (POP3)
settings-smtp = Send (SMTP)

# Locking
lock-confirm = Lock everything?
lock-confirm-lead = This happens at once:
lock-sessions = Every mail client is disconnected.
lock-passwords = All app passwords are deleted.
lock-devices = All trusted devices and all other signed-in browsers are signed out.
lock-next = Then change your mailbox password, and make new app passwords.

# What was done
done-signed-out = You are signed out.
done-locked = Everything is locked. Change your mailbox password now; then make new app passwords.
done-renamed = Renamed.
done-already-made = This form was sent before, so that nothing more was made. What it made was shown once; if it is lost, delete that app password and make another.
done-codes-already-made = This form was sent before, so that no other codes were made. If you did not see new ones then and keep them, make new ones: those from before may not work any more.
done-deleted = Deleted. The client was disconnected.
done-deleted-all = All app passwords were deleted.
done-session-ended = The session was ended.
done-device-removed = This device is not trusted any more.
done-browser-ended = The browser was signed out.
done-bound = The second factor is bound.
done-unbound = The second factor was unbound.
done-trusted = This device is trusted now.
done-verified = Confirmed. You can make changes for ten minutes.
done-changed = Changed: the new second factor is bound, and the old one was unbound.

# What happened, in words
attempt-admitted = { $protocol } login
attempt-refused = { $protocol } login refused
attempt-refused-why = { $protocol } login refused: { $why }
attempt-unavailable = { $protocol } login failed: mail server not reachable
attempt-portal = Signed in here with the mailbox password
attempt-portal-refused = Sign-in here refused
attempt-portal-refused-why = Sign-in here refused: { $why }
attempt-limited = { $protocol } login held back: too many failures
attempt-portal-limited = Sign-in here held back: too many failures
attempt-portal-unavailable = Sign-in here failed: mail server not reachable
attempt-trusted = Signed in here from a trusted device
attempt-code = Second factor confirmed
attempt-code-refused = Second factor refused: wrong code
attempt-key-refused = Second factor refused: passkey not accepted
attempt-key-copied = Security key refused: it may have been copied
attempt-code-limited = Second factor held back: too many failures
attempt-code-unavailable = Second factor could not be checked
attempt-counted = More attempts refused
attempt-counted-unavailable = More attempts came to nothing
attempt-named = “{ $name }”
attempt-times = { $count } times
ground-wrong-password = wrong password
ground-app-password-needed = not an app password
ground-same-again = the same password again, which was refused before
ground-bind-first = right password, but a second factor must be bound first
ground-out-of-scope = the app password is not for this protocol or network
ground-expired = the app password has expired
ground-stale = the mailbox password has changed since; sign in here with the new one
ground-suspended = right password, but the mailbox is suspended
from = from { $from }
from-many = from many places
from-with = from { $from } with { $client }
unknown-client = Mail client
unknown-browser = Browser

# Guides
guides-title = Set up your mail client
guides-lead = Choose yours. You need an app password for it; making one takes a minute.
guide-lead = Have an app password ready: it takes the place of the mailbox password.
guide-button = Make app password
guide-quick = The quick way
guide-by-hand = By hand
guide-foxmail-title = Foxmail
guide-foxmail-1 = Already set up? Open the menu, choose Account Settings, select this account and go on with step 4. Otherwise choose Add Account.
guide-foxmail-2 = Choose Other Mailbox, then Manual settings.
guide-foxmail-3 = Type your mail address, and take IMAP as the server type.
guide-foxmail-4 = Type the app password as the password.
guide-foxmail-5 = Type servers and ports from the table below, and tick SSL for both.
guide-foxmail-6 = Choose Create (or Apply). Foxmail logs in at once.
guide-iphone-title = iPhone, iPad and Mac
guide-iphone-quick-1 = Make an app password for the device. Do it on a computer, or on the device itself.
guide-iphone-quick-2 = On the page that shows it, scan the QR code with the camera of the iPhone or iPad; on the device itself, or on a Mac, press “Set up this device”.
guide-iphone-quick-3 = Get the profile on the page that opens, and install it: Settings, Profile Downloaded; on a Mac System Settings, General, Device Management.
guide-iphone-quick-4 = Mail is set up. A mailbox that was set up there by hand before can be removed.
guide-iphone-note = On a Mac by hand: System Settings, Internet Accounts, Add Account, Add Other Account, Mail account, with the same servers.
guide-iphone-1 = Open Settings, then Apps, Mail, Mail Accounts. On older systems: Settings, Mail, Accounts.
guide-iphone-2 = Already set up? Tap the account, then the account again, and replace the password under Incoming Mail Server and under Outgoing Mail Server. You are done.
guide-iphone-3 = Otherwise tap Add Account, Other, Add Mail Account.
guide-iphone-4 = Type your name, your mail address and the app password, and tap Next.
guide-iphone-5 = Choose IMAP. Type the servers from the table below, and your address and the app password for both of them, although it says Optional at the second.
guide-iphone-6 = Tap Next, then Save.
guide-huawei-title = Huawei Mail
guide-huawei-1 = Open Email (华为邮箱). Tap the menu, then Settings, Add account. Choose Other.
guide-huawei-2 = Type your mail address and the app password, then tap Manual setup.
guide-huawei-3 = Choose IMAP. Type the incoming server from the table below, security type SSL/TLS, and its port.
guide-huawei-4 = Do the same for the outgoing server, and leave “Require sign-in” on.
guide-huawei-5 = Tap Next. Already set up? Settings, tap the account, then Incoming and Outgoing settings, and replace the password in both.
guide-android-title = Other Android phones
guide-android-1 = Open your mail app, go to its settings and choose Add account, then Other or IMAP.
guide-android-2 = Type your mail address, then choose Manual setup.
guide-android-3 = Choose IMAP, and type the app password.
guide-android-4 = Type the incoming server from the table below. Security type: SSL/TLS.
guide-android-5 = Type the outgoing server, again with SSL/TLS; sign-in is required, with the same address and app password.
guide-outlook-title = Outlook
guide-outlook-quick-1 = Choose File, Add Account, and type your mail address.
guide-outlook-quick-2 = Choose Connect. Outlook finds the settings itself.
guide-outlook-quick-3 = Type the app password when it asks for the password.
guide-outlook-1 = Choose File, Account Settings, Account Settings. Already set up? Select the account, choose Repair or Change, type the app password, and you are done.
guide-outlook-2 = Otherwise choose New, type your mail address, open Advanced options, tick “Let me set up my account manually”, and choose Connect.
guide-outlook-3 = Choose IMAP.
guide-outlook-4 = Type servers and ports from the table below. Encryption method: SSL/TLS for both.
guide-outlook-5 = Choose Next and type the app password.
guide-outlook-note = The new Outlook for Windows and the phone apps send your password to Microsoft's servers, which then fetch your mail. Ask your administrator whether that is allowed.
guide-thunderbird-title = Thunderbird
guide-thunderbird-quick-1 = Open the menu, choose New Account, Mail. Type your name, your mail address and the app password.
guide-thunderbird-quick-2 = Choose Continue. Thunderbird finds the settings itself.
guide-thunderbird-quick-3 = Keep IMAP, and choose Done.
guide-thunderbird-1 = Open the menu, choose New Account, Mail. Already set up? Open Settings, Privacy & Security, Saved Passwords, remove those of this server, and check for mail: Thunderbird asks anew.
guide-thunderbird-2 = Type your name, your mail address and the app password, and choose Configure manually.
guide-thunderbird-3 = Incoming: IMAP, the server and port from the table below, SSL/TLS, Normal password.
guide-thunderbird-4 = Outgoing: the server and port from the table below, SSL/TLS, Normal password.
guide-thunderbird-5 = Choose Re-test, then Done.
guide-other-title = Any other client
guide-other-1 = Look for manual or advanced settings when you add the account; for an account that is there already, look for its server settings.
guide-other-2 = User name: your whole mail address. Password: the app password, with or without blanks.
guide-other-3 = Incoming server (IMAP, or POP3 if you must) and outgoing server (SMTP): see the table below.
guide-other-4 = Encryption: SSL/TLS, or STARTTLS with the other port. Authentication: normal password (PLAIN or LOGIN).
guide-other-5 = The outgoing server wants you to log in, too, with the same user name and password.
trouble-title = If it does not work
trouble-password = “Wrong password”: use an app password, not the mailbox password, and type it in both places, receiving and sending.
trouble-login = The user name is your whole mail address.
trouble-ssl = “Cannot connect”: compare port and encryption; the port for SSL does not work with STARTTLS.
trouble-see = Recent sign-ins on the page “My security” show whether a client reached us and was refused, and what is mostly the reason.

# Setting up an Apple device
device-title = On an iPhone, iPad or Mac
device-qr = QR code with the link for your iPhone or iPad
device-scan = Point the camera of your iPhone or iPad at this code. The page that it opens sets up Mail with everything: servers, user name and this app password.
device-here = Are you on that device, or on a Mac? Open the page right here.
device-button = Set up this device
device-hint = Works once, within five minutes. Whoever opens it gets this app password.
apple-title = Set up mail on this device
apple-lead = Mail is set up with everything for this mailbox: servers, user name and password.
apple-step-1 = Press the button, and allow the download of the configuration profile.
apple-step-2 = iPhone and iPad: open Settings and tap Profile Downloaded. Mac: open System Settings, General, Device Management, and double-click the profile.
apple-step-3 = Choose Install, and confirm. Mail is ready.
apple-button = Get the profile
apple-once = This works once. Use Safari: other apps, WeChat among them, cannot install profiles.
apple-gone = This link leads nowhere any more
apple-gone-lead = A link works once, and for five minutes. Make another app password, and open the link that is shown with it.
profile-name = Mail for { $address }
profile-description = Sets up this mailbox in Mail, with an app password of its own. If you remove this profile, the mailbox goes from this device; delete the app password in the portal, too.
profile-mail = Mail account

# Errors
error-home = To the start page
error-code = Error { $code }
error-400-title = This request was incomplete
error-400-lead = Go back, load the page again and try once more.
error-403-title = This request was not from here
error-403-lead = For your safety nothing was done. Open the page in this browser again and try once more; if you turned cookies off, turn them on for this site.
error-404-title = There is nothing here
error-404-lead = The page may have moved, or what it showed was deleted. Go on from the start page.
error-405-title = That does not work this way
error-405-lead = Open the page from the start page and use the buttons there.
error-413-title = That was too much
error-413-lead = What was sent is larger than any form of this site. Go back and shorten it.
error-429-title = That was too often
error-429-lead = Nothing was changed. Wait a minute, then go on; nobody is locked out by this.
error-500-title = Something went wrong here
error-500-lead = It is not your fault. Try again in a minute; if it stays, tell your administrator when it happened.
error-503-title = Not available right now
error-503-lead = What you asked for last may not have been done. Come back in a minute and look; your mail clients go on meanwhile.
