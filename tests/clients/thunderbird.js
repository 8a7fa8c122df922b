// Drives Thunderbird from the inside: its own configuration mechanism runs this with all rights when it starts.
//
// The environment names a plan, MAILWARD_PLAN: {"ca": PEM, "tasks": [{task, protocol, tls, host, port, user, password,
// subject, body, save}]}. Each task becomes an account with its password saved, as a person would have it, and does one
// thing: fetch the inbox into the directory `save` (IMAP, POP3), or send a message to itself (SMTP). One whose protocol is
// `autoconfig` has {xml} instead of servers: its account is what Thunderbird's own assistant makes of that, and does both. Then
// account and password are removed. What came of it goes to MAILWARD_RESULTS, one JSON line a task; at the end Thunderbird quits.
// (The first line of this file is not run.)
"use strict";

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { IOUtils, PathUtils } = Cu.getGlobalForObject(Services);
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");

const TLS = { implicit: Ci.nsMsgSocketType.SSL, starttls: Ci.nsMsgSocketType.alwaysSTARTTLS };
const PATIENCE = 30000; // milliseconds that one task may take

// A person who sees a refusal and gives up: dialogs are not opened but cancelled, and their words are kept.
const shown = [];

function cancelDialogs() {
  const { Prompter } = ChromeUtils.importESModule("resource://gre/modules/Prompter.sys.mjs");
  const cancel = answer => (_, title, text) => {
    shown.push(text);
    return answer;
  };
  const CANCEL = 1; // beside "Retry" and "Enter New Password"
  Object.assign(Prompter.prototype, {
    alert: cancel(),
    confirm: cancel(false),
    confirmEx: cancel(CANCEL),
    promptPassword: cancel(false),
  });
}

// For operations on the network: a listener, and a promise of the status with which they end.
function ending() {
  const { promise, resolve } = Promise.withResolvers();
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl: (url, status) => resolve(status),
  };
  return { listener, promise };
}

function must(status, what) {
  if (status !== 0 && status !== undefined) {
    throw new Error(`${what}: 0x${(status >>> 0).toString(16)}`);
  }
}

async function remember(scheme, task) {
  const origin = `${scheme}://${task.host}`;
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, origin, task.user, task.password, "", "");
  await Services.logins.addLoginAsync(login);
}

function incoming(task) {
  const server = MailServices.accounts.createIncomingServer(task.user, task.host, task.protocol);
  server.port = task.port;
  server.socketType = TLS[task.tls];
  server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  server.doBiff = false;
  server.setBoolValue("login_at_startup", false);
  const account = MailServices.accounts.createAccount();
  account.incomingServer = server;
  account.addIdentity(identity(task));
  return server;
}

function identity(task) {
  const identity = MailServices.accounts.createIdentity();
  identity.email = task.user;
  identity.doFcc = false;
  identity.composeHtml = false;
  return identity;
}

async function imap(task) {
  await remember("imap", task);
  return fetchImap(incoming(task), task);
}

async function fetchImap(server, task) {
  server.QueryInterface(Ci.nsIImapIncomingServer);
  server.setBoolValue("using_subscription", false);
  const discovery = ending();
  // With a window to show dialogs in, since without one it does not say that a login failed.
  const { msgWindow } = Services.wm.getMostRecentWindow("mail:3pane");
  MailServices.imap.discoverAllFolders(server.rootFolder, discovery.listener, msgWindow);
  must(await discovery.promise, "the list of folders");
  const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  const update = ending();
  inbox.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, update.listener);
  must(await update.promise, "the inbox");
  return save(inbox, task);
}

async function pop3(task) {
  await remember("mailbox", task);
  const server = incoming(task);
  server.setBoolValue("leave_on_server", true);
  const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  const fetch = ending();
  MailServices.pop3.GetNewMail(null, fetch.listener, inbox, server);
  must(await fetch.promise, "the new mail");
  return save(inbox, task);
}

// Each message's source, as "View Source" would show it.
async function save(folder, task) {
  let count = 0;
  for (const header of [...folder.messages]) {
    const uri = folder.getUriForMsg(header);
    const pieces = [];
    const { promise: end, resolve } = Promise.withResolvers();
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onDataAvailable(request, stream, offset, length) {
        const binary = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        binary.setInputStream(stream);
        pieces.push(...binary.readByteArray(length));
      },
      onStopRequest: (request, status) => resolve(status),
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
    must(await end, "a message");
    await IOUtils.write(PathUtils.join(task.save, `${count++}`), new Uint8Array(pieces));
  }
}

async function smtp(task) {
  await remember("smtp", task);
  const server = MailServices.outgoingServer.createServer("smtp");
  server.QueryInterface(Ci.nsISmtpServer);
  server.hostname = task.host;
  server.port = task.port;
  server.username = task.user;
  server.socketType = TLS[task.tls];
  server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  const sender = identity(task);
  sender.smtpServerKey = server.key;
  return send(sender, task);
}

async function send(sender, task) {
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = task.user;
  fields.to = task.user;
  fields.subject = task.subject;
  fields.useMultipartAlternative = false;
  const { promise: end, resolve } = Promise.withResolvers();
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
    onStartSending() {},
    onSendProgress() {},
    onStatus() {},
    onSendNotPerformed: () => resolve(Cr.NS_ERROR_ABORT),
    onStopSending: (id, status) => resolve(status),
    onGetDraftFolderURI() {},
    onTransportSecurityError() {},
  };
  const sending = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
  const sent = sending.createAndSendMessage(
    null, sender, "", fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null,
    "text/plain", task.body, null, null, listener, null, null, Ci.nsIMsgCompType.New);
  const refused = Promise.resolve(sent).then(() => end, error => error.result ?? Cr.NS_ERROR_FAILURE);
  must(await Promise.race([end, refused]), "the message");
}

// What the assistant for new accounts does with a file that it found at a provider, and after its last button.
async function autoconfig(task) {
  const from = file => ChromeUtils.importESModule(`resource:///modules/${file}.sys.mjs`);
  const { JXON } = from("JXON");
  const { readFromXML } = from("accountcreation/readFromXML");
  const { AccountConfig } = from("accountcreation/AccountConfig");
  const { CreateInBackend } = from("accountcreation/CreateInBackend");
  const { DOMParser } = Services.wm.getMostRecentWindow("mail:3pane");
  const config = readFromXML(JXON.build(new DOMParser().parseFromString(task.xml, "text/xml")), "portal");
  AccountConfig.replaceVariables(config, "Client", task.user, task.password);
  config.rememberPassword = true;
  const account = await CreateInBackend.createAccountInBackend(config);
  account.defaultIdentity.composeHtml = false;
  account.defaultIdentity.doFcc = false;
  await fetchImap(account.incomingServer, task);
  await send(account.defaultIdentity, task);
}

async function run() {
  cancelDialogs();
  const plan = await IOUtils.readJSON(Services.env.get("MAILWARD_PLAN"));
  const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  certificates.addCertFromBase64(plan.ca.replace(/-----[^-]*-----|\s/g, ""), "CT,,");
  const results = Services.env.get("MAILWARD_RESULTS");
  for (const task of plan.tasks) {
    shown.length = 0;
    const begun = Date.now();
    let problem = null;
    try {
      const late = new Promise((_, reject) => setTimeout(reject, PATIENCE, new Error("no end within 30 s")));
      await Promise.race([{ imap, pop3, smtp, autoconfig }[task.protocol](task), late]);
    } catch (error) {
      problem = `${error}`;
    }
    for (const account of [...MailServices.accounts.accounts]) {
      MailServices.accounts.removeAccount(account, true);
    }
    await Services.logins.removeAllLoginsAsync();
    const line = { task: task.task, problem, shown: [...shown], milliseconds: Date.now() - begun };
    await IOUtils.writeUTF8(results, `${JSON.stringify(line)}\n`, { mode: "appendOrCreate" });
  }
}

Services.obs.addObserver(function ready() {
  Services.obs.removeObserver(ready, "mail-startup-done");
  run()
    .catch(error => dump(`the plan failed: ${error}\n${error.stack}\n`))
    .then(() => Services.startup.quit(Ci.nsIAppStartup.eForceQuit));
}, "mail-startup-done");
