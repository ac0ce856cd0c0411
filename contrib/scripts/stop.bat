@if "%~1"=="" (wsl --cd "%~dp0." -- soloist down) else (wsl --cd "%~dp0." -- soloist stop %*)
@exit /b %errorlevel%
