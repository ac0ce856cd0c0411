@wsl --cd "%~dp0." -- soloist up -d %*
@exit /b %errorlevel%
