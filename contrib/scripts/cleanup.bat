@wsl --cd "%~dp0." -- soloist cleanup %*
@exit /b %errorlevel%
