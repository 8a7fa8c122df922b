# 门户网页的简体中文文字；`en.ftl` 说的是同样的话。

# 每页的框架
product = 邮箱安全
skip = 跳到正文
sign-out = 退出
nav = 栏目
nav-security = 我的安全
nav-factors = 二次验证
nav-app-passwords = 客户端专用密码
nav-app-password = 客户端专用密码
nav-guides = 设置指南
footer = 请勿向任何人透露验证码或密码，管理员也不会向您索要。
tab-factors = 二次验证
tab-guides = 设置指南
manage = 管理
cancel = 取消
back = 返回
copy = 复制
copied = 已复制
print = 打印
this-browser = 当前浏览器

# 时间
when-now = 刚刚
when-minutes = { $count } 分钟前
when-hours = { $count } 小时前
when-days = { $count } 天前
when-in-minutes = { $count } 分钟后
when-in-hours = { $count } 小时后
when-in-days = { $count } 天后

# 登录
sign-in-title = 登录
sign-in-lead = 管理您的二次验证和邮件客户端密码。
sign-in-login = 邮箱地址
sign-in-password = 邮箱密码
sign-in-password-hint = 即网页邮箱的登录密码，不是客户端专用密码。
sign-in-button = 登录
sign-in-guides = 查看邮件客户端的设置方法
sign-in-wrong = 邮箱地址或密码错误，请核对后重试。如忘记密码，请联系管理员。
sign-in-too-many = 尝试次数过多，请等待几分钟后再试。
sign-in-suspended = 此账号已被停用，请联系管理员恢复。
sign-in-unavailable = 邮件服务器暂时没有响应，无法核对密码。请一分钟后再试。
sign-in-ended = 您离开较久，已自动退出。请重新登录后继续。

# 验证码
code-title = 请完成二次验证
code-totp-lead = 打开手机上的验证器应用，输入其中为此邮箱显示的验证码。
code-recovery-lead = 输入您保存的任意一个恢复码，每个只能使用一次。
verify-title = 请验证后继续
verify-lead = 您将更改邮箱的安全设置，请输入验证器应用中显示的验证码。
code-totp-label = 6 位验证码
code-recovery-label = 恢复码
code-recovery-hint = 不区分大小写，空格可省略。
code-button = 继续
code-others = 更换验证方式
code-lost = 手机（或密钥）和恢复码都丢失了？请联系管理员为您解除绑定。
code-wrong = 验证码错误或已被使用。请等待下一个验证码出现后尽快输入，并确认手机时间准确。
code-recovery-wrong = 恢复码错误或已被使用，请换一个再试。
code-too-many = 错误次数过多，请等待几分钟后再试。
code-unavailable = 暂时无法核对验证码，请一分钟后再试。
way-totp = 验证器应用的验证码
way-recovery = 恢复码

# 信任此设备
trust-title = 信任此设备？
trust-lead = 信任后 { $days } 天内，使用此浏览器登录无需二次验证。
trust-yes = 信任
trust-no = 以后再说
trust-hint = 请只信任您自己的设备，可随时取消信任。

# 我的安全
state-on = 二次验证已开启
state-on-lead = 仅凭邮箱密码，既不能登录此页面，也不能登录邮件客户端。
state-off = 二次验证未开启
state-off-lead = 任何人得知您的邮箱密码，就能读到您的邮件。只需两分钟即可改变。
state-bind = 立即开启
live-title = 正在连接
live-empty = 目前没有邮件客户端连接。
live-end = 断开
live-end-named = 断开 { $name } 的连接
devices-title = 可信设备
devices-lead = 以下浏览器登录时无需二次验证。
devices-empty = 还没有可信设备。通过二次验证登录后可以选择信任。
device-until = 信任至 { $when }
device-remove = 取消信任
device-remove-named = 取消信任 { $name }
browsers-title = 已登录的浏览器
browser-end-named = 退出 { $name }
recent-title = 最近登录
recent-empty = 最近 30 天没有登录记录。
recent-hint = 有不是您本人的操作？请先修改邮箱密码，再使用一键锁定。
recent-why = 客户端被拒，多半是因为仍在使用邮箱密码，或使用了已删除的专用密码。
lock-title = 一键锁定
lock-lead = 怀疑他人登录了您的邮箱时使用：立即断开所有连接，并清除所有客户端专用密码。
lock-button = 一键锁定

# 二次验证
factors-title = 二次验证设置
factors-lead = 开启二次验证后，即使邮箱密码泄露，他人也无法登录。
factors-clients-title = 邮件客户端
factors-clients-lead = 邮件客户端无法输入验证码，请为它设置客户端专用密码。
factors-clients-button = 设置客户端专用密码
totp-name = 验证器应用
totp-lead = 手机应用每 30 秒显示一个新的验证码，无需联网。
factors-bound = 已绑定
factors-none = 还没有绑定验证方式。
factor-change = 换绑
factor-change-named = 换绑 { $name }
factor-unbind-named = 解除绑定 { $name }
factor-rename-title = 重命名 { $name }
factor-name-hint = 绑定多个时便于辨认。
factor-another = 再绑定一个
factor-too-many = 绑定的验证方式已达上限。请先解除不用的，再重试。
choose-title = 绑定二次验证
choose-lead = 请选择一种验证方式。可以绑定多个，登录时任选其一。
choose-button = 选择
choose-named = 选择：{ $kind }
factor-bound = 绑定于 { $when }
factor-used = 绑定于 { $when }，上次使用 { $used }

# 恢复码
recovery-name = 恢复码
recovery-lead = 手机丢失时备用。每个恢复码可代替验证码使用一次。
recovery-left = { $count ->
    [0] 恢复码已用完
   *[other] 剩余 { $count } 个
}
recovery-renew = 重新生成
recovery-renew-hint = 重新生成后，原有恢复码全部失效。
recovery-title = 您的恢复码
recovery-bound-lead = 二次验证已开启。请保存这些恢复码，以备手机丢失时使用。
recovery-new-lead = 原有的恢复码已全部失效。
recovery-once = 恢复码只显示这一次。请先下载或打印，再继续；不要只存在手机里。
recovery-use = 每个恢复码可代替验证码使用一次。
recovery-download = 下载
recovery-file = 恢复码.txt
recovery-file-text = { $address } 在 { $site } 的恢复码，每个只能使用一次。
recovery-kept = 我已妥善保存

# 首次绑定
first-title = 开启二次验证
first-lead = 共两步，只需几分钟。请先为邮件客户端设置专用密码，以免收发中断。
first-required = 您的单位要求开启二次验证。请先为邮件客户端设置专用密码，以免收发中断，然后完成绑定。
first-elsewhere = 首次绑定只能在单位网络内进行。请连接单位网络，或联系管理员；您现在就可以先设置客户端专用密码。
first-step-passwords = 为邮件客户端设置专用密码
first-step-passwords-lead = 生成后立即可用。请为每个客户端各生成一个，填入客户端以替换邮箱密码。
first-clients = 最近 30 天，以下客户端使用过邮箱密码：
first-clients-none = 最近 30 天没有客户端使用邮箱密码，可直接进行下一步。
first-make = 生成
first-make-named = 为 { $name } 生成客户端专用密码
first-made = 您已有 { $count } 个客户端专用密码。
first-step-bind = 绑定二次验证
first-step-bind-lead = 绑定后立即生效：
first-will-code = 登录此页面需要邮箱密码和二次验证。
first-will-stop = 邮件客户端只能使用客户端专用密码，仍用邮箱密码的客户端将无法登录。
first-will-end = 使用邮箱密码的客户端连接，以及其他已登录的浏览器，将被断开。
first-will-codes = 您将获得 10 个恢复码，以备手机丢失时使用。
first-bind-button = 选择验证方式
totp-bind-title = 绑定验证器应用
totp-change-title = 换绑验证器应用
totp-bind-lead = 任意验证器应用均可使用，例如腾讯身份验证器、Microsoft Authenticator、Google Authenticator、1Password 等。
totp-replaces = 确认新的验证器之前，现有的验证器仍然有效；确认后自动解除绑定。
totp-step-app = 安装验证器应用
totp-step-app-lead = 如果手机上还没有，请从应用商店安装一个。
totp-step-scan = 用它扫描二维码
totp-step-scan-lead = 在应用中选择“添加账号”或“扫描二维码”。
totp-qr = 验证器应用使用的二维码；也可手动输入旁边的密钥
totp-key = 或手动输入密钥
totp-key-hint = 基于时间，6 位数字。请勿泄露：持有密钥的人可以生成您的验证码。
totp-open-app = 在本机应用中打开
totp-step-code = 输入应用显示的验证码
totp-confirm = 确认并开启
totp-wrong = 验证码不匹配。请等待下一个验证码，并确认手机已设置为自动校准时间。
totp-expired = 等待时间过长，已生成新的二维码。请先从应用中删除刚才扫描的条目，再重新扫描。

# 通行密钥
or = 或
sign-in-passkey = 使用通行密钥登录
passkey-name = 通行密钥或安全密钥
passkey-lead = 使用本设备的指纹、面容或 PIN，或插入安全密钥，无需输入验证码。
passkey-button = 使用通行密钥
passkey-waiting = 请按浏览器的提示操作。
passkey-cancelled = 未完成确认。请重试，并按浏览器的提示操作。
passkey-known = 此设备或密钥已经绑定。
passkey-unable = 此浏览器不支持通行密钥。请更换浏览器，或使用其他方式。
passkey-no-script = 使用通行密钥需要启用 JavaScript。请为本站启用，或使用其他方式。
passkey-expired = 等待时间过长，请重试。
passkey-wrong = 无法绑定此通行密钥。请重试，或更换设备或密钥。
passkey-bind-title = 绑定通行密钥
passkey-change-title = 换绑通行密钥
passkey-bind-lead = 浏览器会请您验证指纹、面容或 PIN，或使用安全密钥。
passkey-replaces = 新的通行密钥创建之前，现有的仍然有效；创建后自动解除绑定。
passkey-is-device = 在手机或电脑上，通行密钥保存在设备中，或保存在您的设备厂商账号中。
passkey-is-key = 安全密钥可在任何电脑上使用。
passkey-is-alone = 如果通行密钥会验证指纹、面容或 PIN，还可以用它直接登录，无需邮箱密码。
passkey-name-hint = 绑定多个时便于辨认。
passkey-bind-button = 创建通行密钥
passkey-entry-title = 使用通行密钥登录
passkey-entry-lead = 无需输入邮箱地址和密码：选择您的通行密钥，并用指纹、面容或 PIN 确认。
passkey-entry-wrong = 此通行密钥无法在这里登录。请使用邮箱地址和密码登录，或联系管理员。
passkey-entry-otherwise = 使用邮箱地址和密码
code-passkey-lead = 请使用为此邮箱绑定的通行密钥或安全密钥确认。
verify-passkey-lead = 您将更改邮箱的安全设置，请使用通行密钥或安全密钥确认。
code-passkey-wrong = 通行密钥未被接受。请重试，或更换验证方式。
way-passkey = 通行密钥或安全密钥
attempt-passkey = 使用通行密钥登录此页面
attempt-passkey-refused = 使用通行密钥登录此页面被拒
new-wrong-password = 邮箱密码不正确，请核对后重试。
new-password-hint = 您登录时没有输入邮箱密码。需要输入一次，以便加密保存到客户端专用密码中。

# 解除绑定
unbind-title = 解除绑定“{ $name }”？
unbind-lead = 二次验证将被关闭。
unbind-refused = 您的单位要求开启二次验证，不能解除最后一种验证方式。您可以换绑。
unbind-password = 仅凭邮箱密码即可登录此页面。
unbind-keeps = 客户端专用密码继续有效；邮件客户端也可以重新使用邮箱密码。
unbind-stops = { $count ->
    [0] 邮件客户端将重新使用邮箱密码。
   *[other] { $count } 个客户端专用密码将被删除，使用它们的客户端需要改回邮箱密码。
}
unbind-codes = 恢复码全部失效。
unbind-ends = 所有可信设备和其他已登录的浏览器将退出。
unbind-button = 解除绑定
unbind-one-lead = 其他验证方式仍然有效，二次验证保持开启。

# 客户端专用密码
app-passwords-lead = 每个邮件客户端各用一个密码。手机丢失时，只需删除它的密码，其他客户端不受影响。
app-passwords-none = 还没有客户端专用密码
app-passwords-empty = 请为每个邮件客户端生成一个，一分钟即可完成。
app-password-new = 生成专用密码
app-password-name = 名称
app-password-manage = 重命名或删除
app-password-manage-named = 重命名或删除 { $name }
app-password-facts = 详情
app-password-expired = 已过期
app-password-stale = 等待您的新邮箱密码
app-password-unused = 尚未使用
app-password-used = { $when }，来自 { $from }
app-password-used-by = { $when }，来自 { $from }，{ $client }
app-password-void = 已损坏，请删除
fact-label = 开头四位
fact-used = 上次使用
fact-created = 创建时间
fact-scope = 适用范围
fact-expires = 有效期
scope-all = IMAP、POP3、SMTP
scope-networks = { $protocols }，来自 { $networks }
expires-never = 直到删除
rename-title = 重命名
rename-button = 保存
rename-bad = 此名称不可用，请使用 1 至 64 个字符。
delete-title = 删除
delete-lead = 使用它的客户端会立即断开，且无法再用它登录。
delete-button = 删除“{ $name }”
delete-all-title = 一键清除
delete-all-hint = 所有邮件客户端都会断开，需要重新设置专用密码。
delete-all-button = 全部清除
delete-all-confirm = 清除所有客户端专用密码？
delete-all-lead = { $count } 个客户端专用密码将全部失效。
delete-all-ends = 所有邮件客户端立即断开。
delete-all-new = 每个客户端需要设置新的专用密码才能继续收发邮件。
new-lead = 用于一台设备上的一个邮件客户端。
new-name-example = 办公室的 Foxmail
new-name-hint = 便于日后辨认，例如客户端或设备的名称。
new-suggestions = 建议
new-limits = 使用限制（可选）
new-protocols = 适用范围
new-expires = 有效期
new-expires-never = 直到我删除
new-expires-days = { $count } 天
new-button = 生成专用密码
new-bad-name = 此名称不可用，请使用 1 至 64 个字符。
new-no-protocol = 请至少选择一种协议，否则该密码无法使用。
new-too-many = 客户端专用密码已达上限。请删除不用的密码后再试。
new-unavailable = 暂时无法生成，未做任何更改。请一分钟后再试。
new-needs-password = 当前会话没有保存您的邮箱密码，请在下方输入。
new-busy = 正在生成的专用密码较多，请稍后再试。
protocol-imap = 收信（IMAP）
protocol-pop3 = 收信（POP3）
protocol-smtp = 发信（SMTP）
created-title = 新的客户端专用密码
created-heading = { $name } 的专用密码
created-lead = 请在邮件客户端中输入此密码，代替邮箱密码。
created-once = 只显示这一次，空格可省略。如果遗失，删除后重新生成即可。
created-done = 完成
try-title = 立即测试
try-lead = 设置好邮件客户端，然后在这里看它登录。
try-button = 等待首次登录
try-waiting = 正在等待 { $name } 登录
try-waiting-lead = 请打开邮件客户端并收取邮件，此页面会自动更新。
try-again = 重新查看
try-seen = 设置成功
try-seen-lead = 首次登录：{ $when }，来自 { $from }。
try-nothing = 还没有收到登录
try-nothing-lead = 请对照设置指南，检查客户端中的服务器、端口、加密方式和邮箱地址，然后重新查看。

# 客户端设置
settings-title = 邮件客户端设置
settings-guides = 分步设置
settings-server = 用途
settings-host = 服务器
settings-address = 用户名
settings-password = 密码
settings-password-is = 上方的客户端专用密码
settings-password-is-yours = 客户端专用密码，不是邮箱密码
settings-login = 收信和发信使用相同的用户名和密码。可以选择时，请优先使用 SSL/TLS。
settings-imap = 收信（IMAP）
settings-pop3 = 收信（POP3）
settings-smtp = 发信（SMTP）

# 一键锁定
lock-confirm = 确认一键锁定？
lock-confirm-lead = 以下操作立即生效：
lock-sessions = 断开所有邮件客户端。
lock-passwords = 删除所有客户端专用密码。
lock-devices = 所有可信设备和其他已登录的浏览器全部退出。
lock-next = 之后请修改邮箱密码，再生成新的客户端专用密码。

# 已完成
done-signed-out = 您已退出。
done-locked = 已全部锁定。请立即修改邮箱密码，然后重新生成客户端专用密码。
done-renamed = 已重命名。
done-deleted = 已删除，使用它的客户端已断开。
done-deleted-all = 已清除所有客户端专用密码。
done-session-ended = 已断开连接。
done-device-removed = 已取消信任该设备。
done-browser-ended = 该浏览器已退出。
done-bound = 验证方式已绑定。
done-unbound = 验证方式已解除绑定。
done-trusted = 已信任此设备。
done-verified = 验证成功，十分钟内可以更改设置。
done-changed = 已换绑到新的验证器，原验证器已解除绑定。

# 发生了什么
attempt-admitted = { $protocol } 登录成功
attempt-admitted-named = { $protocol } 登录成功，使用“{ $name }”
attempt-refused = { $protocol } 登录被拒
attempt-unavailable = { $protocol } 登录失败：邮件服务器无法连接
attempt-portal = 使用邮箱密码登录此页面
attempt-portal-refused = 登录此页面被拒
attempt-limited = { $protocol } 登录被限制：失败次数过多
attempt-portal-limited = 登录此页面被限制：失败次数过多
attempt-portal-unavailable = 登录此页面失败：邮件服务器无法连接
attempt-code = 通过二次验证
attempt-code-refused = 二次验证未通过：验证码错误
attempt-code-limited = 二次验证被限制：错误次数过多
attempt-code-unavailable = 二次验证失败：暂时无法核对
from = 来自 { $from }
from-with = 来自 { $from }，{ $client }
unknown-client = 邮件客户端
unknown-browser = 浏览器

# 设置指南
guides-title = 设置邮件客户端
guides-lead = 请选择您的客户端。设置时需要客户端专用密码，一分钟即可生成。
guide-lead = 请先准备好客户端专用密码，用它代替邮箱密码。
guide-button = 为它生成专用密码
guide-foxmail-title = Foxmail
guide-foxmail-1 = 如已添加账号：打开右上角菜单，选择“账号管理”，选中该账号后从第 4 步继续。否则选择“新建账号”。
guide-foxmail-2 = 选择“其他邮箱”，再选择“手动设置”。
guide-foxmail-3 = 输入邮箱地址，接收服务器类型选择 IMAP。
guide-foxmail-4 = 在“密码”处输入客户端专用密码。
guide-foxmail-5 = 按下表填写收信和发信服务器及端口，并都勾选 SSL。
guide-foxmail-6 = 点击“创建”（或“应用”），Foxmail 会立即登录。
guide-iphone-title = iPhone 和 iPad
guide-iphone-1 = 打开“设置”→“App”→“邮件”→“邮件账户”。较早的系统为“设置”→“邮件”→“账户”。
guide-iphone-2 = 如已添加账户：点按该账户，再点按“账户”，将“收件服务器”和“发件服务器”中的密码都换成客户端专用密码即可。
guide-iphone-3 = 否则点按“添加账户”→“其他”→“添加邮件账户”。
guide-iphone-4 = 输入姓名、邮箱地址和客户端专用密码，点按“下一步”。
guide-iphone-5 = 选择 IMAP，按下表填写服务器。收件和发件服务器都要填写邮箱地址和专用密码，虽然后者标注为“可选”。
guide-iphone-6 = 点按“下一步”，然后“存储”。
guide-huawei-title = 华为邮箱
guide-huawei-1 = 打开“电子邮件”（华为邮箱），点击菜单中的“设置”→“添加账户”，选择“其他”。
guide-huawei-2 = 输入邮箱地址和客户端专用密码，点击“手动设置”。
guide-huawei-3 = 选择 IMAP，按下表填写接收服务器和端口，安全类型选择 SSL/TLS。
guide-huawei-4 = 用同样方法填写发送服务器，保持“要求登录”开启。
guide-huawei-5 = 点击“下一步”。如已添加账户：在“设置”中点击该账户，将“接收设置”和“发送设置”中的密码都替换掉。
guide-android-title = 其他安卓手机
guide-android-1 = 打开手机自带的邮件应用，在设置中选择“添加账户”，再选择“其他”或“IMAP”。
guide-android-2 = 输入邮箱地址，选择“手动设置”。
guide-android-3 = 选择 IMAP，密码处输入客户端专用密码。
guide-android-4 = 按下表填写接收服务器，安全类型选择 SSL/TLS。
guide-android-5 = 填写发送服务器，同样选择 SSL/TLS；需要登录，使用相同的邮箱地址和专用密码。
guide-outlook-title = Outlook
guide-outlook-1 = 选择“文件”→“账户设置”→“账户设置”。如已添加：选中账户，点击“修复”或“更改”，输入客户端专用密码即可。
guide-outlook-2 = 否则点击“新建”，输入邮箱地址，展开“高级选项”，勾选“让我手动设置我的账户”，点击“连接”。
guide-outlook-3 = 选择 IMAP。
guide-outlook-4 = 按下表填写服务器和端口，加密方法都选择 SSL/TLS。
guide-outlook-5 = 点击“下一步”，输入客户端专用密码。
guide-outlook-note = 新版 Outlook（Windows）和手机版会把密码发送到微软的服务器，由其代收邮件。是否允许使用，请咨询管理员。
guide-thunderbird-title = Thunderbird
guide-thunderbird-1 = 打开菜单，选择“新建账户”→“邮件”。如已添加：打开“设置”→“隐私与安全”→“已保存的密码”，删除此服务器的密码，再收取邮件，Thunderbird 会重新询问。
guide-thunderbird-2 = 输入姓名、邮箱地址和客户端专用密码，选择“手动配置”。
guide-thunderbird-3 = 接收：IMAP，按下表填写服务器和端口，SSL/TLS，普通密码。
guide-thunderbird-4 = 发送：按下表填写服务器和端口，SSL/TLS，普通密码。
guide-thunderbird-5 = 点击“重新测试”，然后“完成”。
guide-other-title = 其他客户端
guide-other-1 = 添加账户时选择“手动设置”或“高级设置”；已有账户则打开它的服务器设置。
guide-other-2 = 用户名为完整的邮箱地址；密码为客户端专用密码，空格可有可无。
guide-other-3 = 收信服务器（IMAP，或必要时 POP3）和发信服务器（SMTP）见下表。
guide-other-4 = 加密方式选择 SSL/TLS；或选择 STARTTLS 并使用对应端口。身份验证选择普通密码（PLAIN 或 LOGIN）。
guide-other-5 = 发信服务器同样需要登录，使用相同的用户名和密码。
trouble-title = 遇到问题时
trouble-password = 提示“密码错误”：请使用客户端专用密码，而不是邮箱密码；收信和发信两处都要填写。
trouble-login = 用户名是完整的邮箱地址。
trouble-ssl = 提示“无法连接”：请核对端口和加密方式，SSL 的端口不能用于 STARTTLS。
trouble-see = “我的安全”页面的最近登录会说明客户端被拒的原因。

# 错误
error-home = 返回首页
error-code = 错误代码 { $code }
error-400-title = 请求不完整
error-400-lead = 请返回并刷新页面，然后再试一次。
error-403-title = 请求并非来自本页面
error-403-lead = 为安全起见，未执行任何操作。请在此浏览器中重新打开页面再试；如已禁用 Cookie，请为本站启用。
error-404-title = 页面不存在
error-404-lead = 页面可能已移动，或其内容已被删除。请从首页继续。
error-405-title = 不支持这种访问方式
error-405-lead = 请从首页打开页面，并使用页面中的按钮。
error-413-title = 提交的内容过大
error-413-lead = 提交的内容超出了表单的限制。请返回并缩短内容。
error-500-title = 系统出错了
error-500-lead = 这不是您的问题。请一分钟后再试；如仍出错，请将出错时间告诉管理员。
error-503-title = 暂时不可用
error-503-lead = 未做任何更改。请一分钟后再试；邮件客户端不受影响。
